"""Methods of Tensor that are no functions: conversions, questions, tensors like this one, shapes."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor

X = np.random.default_rng(0).normal(size=(2, 3, 4))


class TestConversions:
    @pytest.mark.parametrize("convert, dtype", [
        (lambda x: x.to(fastnn.float32), np.float32), (lambda x: x.to("cpu", fastnn.int64), np.int64),
        (lambda x: x.to(fastnn.zeros(1)), np.float32), (lambda x: x.to(dtype=fastnn.int8), np.int8),
        (lambda x: x.to(device="cpu"), np.float64), (lambda x: x.to("float32"), np.float32),
        (lambda x: x.to(fastnn.device("cpu"), fastnn.float32, True), np.float32),
        (lambda x: x.float(), np.float32), (lambda x: x.double(), np.float64), (lambda x: x.long(), np.int64),
        (lambda x: x.int(), np.int32), (lambda x: x.short(), np.int16), (lambda x: x.bool(), np.bool_),
        (lambda x: x.type(fastnn.int64), np.int64), (lambda x: x.type("torch.FloatTensor"), np.float32),
        (lambda x: x.type(fastnn.LongTensor), np.int64), (lambda x: x.type_as(Tensor([1])), np.int64),
        (lambda x: x.astype(np.float32), np.float32), (lambda x: x.cpu(), np.float64), (lambda x: x.to(int), np.int64),
    ])  # fmt: skip
    def test_dtypes(self, convert, dtype):
        x = Tensor(X)
        y = convert(x)
        assert y.dtype == dtype and (y is x) == (dtype == np.float64)
        np.testing.assert_array_equal(y, X.astype(dtype))

    def test_small_integers(self):
        x = Tensor([1.7, 3.2])
        assert x.byte().dtype == np.uint8 and x.char().tolist() == [1, 3]
        assert x.type() == "fastnn.FloatTensor" and x.long().type() == "fastnn.LongTensor"

    def test_gradients_pass_between_floats_only(self):
        x = Tensor(X.astype(np.float32), requires_grad=True)
        y = x.double()
        assert y.requires_grad and y.dtype == np.float64
        (y * y).sum().backward()
        assert x.grad.dtype == np.float32
        np.testing.assert_allclose(x.grad, 2 * X, rtol=1e-5)
        assert not x.long().requires_grad and not x.bool().requires_grad

    def test_copies(self):
        x = Tensor(X, requires_grad=True)
        for y in (x.clone(), x.copy(), x.to(x.dtype, copy=True), fastnn.clone(x)):
            assert y.requires_grad and not np.shares_memory(y.numpy(), X)
            x.grad = None
            y.sum().backward()
            np.testing.assert_array_equal(x.grad, np.ones_like(X))
        for data in (np.zeros(()), np.arange(4)[::2], np.zeros((0, 3)), np.zeros((2, 3), ">f4"), np.ones(3, bool)):
            y = Tensor(data).clone()
            np.testing.assert_array_equal(y, data)
            assert not np.shares_memory(y.numpy(), data)

    def test_contiguous(self):
        x = Tensor(X, requires_grad=True)
        assert x.contiguous() is x and x.is_contiguous() and not x.permute(2, 0, 1).is_contiguous()
        y = x.permute(2, 0, 1).contiguous()
        assert y.is_contiguous() and y.stride() == (6, 3, 1)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, np.ones_like(X))
        images = fastnn.randn(2, 3, 4, 5)
        last = images.to(memory_format=fastnn.channels_last)
        assert last.shape == images.shape and last.stride() == (60, 1, 15, 3)
        assert last.is_contiguous(memory_format=fastnn.channels_last) and not last.is_contiguous()
        assert last.contiguous(memory_format=fastnn.channels_last) is last
        np.testing.assert_array_equal(last, images)

    def test_what_is_not_there(self):
        with pytest.raises(RuntimeError, match="half: fastnn computes in float32 and float64"):
            Tensor(X).half()
        with pytest.raises(RuntimeError, match="bfloat16: fastnn computes in float32 and float64"):
            Tensor(X).bfloat16()
        with pytest.raises(TypeError, match="to: unknown argument 'where'"):
            Tensor(X).to(where=1)
        with pytest.raises(TypeError, match="to: dtype must be"):
            Tensor(X).to(np.complex64)

    def test_sizes_make_a_tensor(self):
        assert Tensor(2, 3).shape == (2, 3) and Tensor(4, 0, 1).dtype == np.float32
        assert Tensor(2.0, True).requires_grad and Tensor(3).shape == ()
        for wrong in ((X, 3), (2, -1), (2, 3.0), (2, True, 3)):
            with pytest.raises(TypeError, match=r"Tensor: expected \(data, requires_grad\) or several sizes, got"):
                Tensor(*wrong)

    def test_detach(self):
        x = Tensor(X, requires_grad=True)
        y = x * 2
        assert y.detach_() is y and not y.requires_grad and not x.detach_().requires_grad


class TestQuestions:
    def test_size(self):
        x = Tensor(X)
        assert x.size() == (2, 3, 4) and x.size(-1) == 4 and x.size().numel() == 24 and x.size(dim=0) == 2
        assert isinstance(x.size(), fastnn.Size) and repr(x.size()) == "Size([2, 3, 4])"
        assert x.numel() == x.nelement() == fastnn.numel(x) == 24 and x.dim() == x.ndimension() == x.ndim == 3
        assert x.element_size() == x.itemsize == 8 and x.nbytes == 192 and x.stride(0) == 12
        assert x.data_ptr() == X.ctypes.data and x[1].storage_offset() == 12

    def test_kinds(self):
        x = Tensor(X)
        assert x.is_floating_point() and fastnn.is_floating_point(x) and not x.long().is_floating_point()
        assert x.is_signed() and not x.byte().is_signed() and not x.is_complex() and not x.is_cuda and x.is_cpu
        assert x.get_device() == -1 and not x.is_sparse and x.layout == fastnn.strided
        assert x.is_same_size(x + 1) and not x.is_same_size(x[0])

    def test_comparisons_of_whole_tensors(self):
        x = Tensor(X)
        assert x.equal(X.copy()) and not x.equal(X[:1]) and not fastnn.equal(x, X + 1)
        assert x.allclose(X + 1e-9) and not fastnn.allclose(x, X + 1e-3) and fastnn.allclose(x, X + 1e-3, atol=1e-2)
        assert x.isclose(x).all() and isinstance(fastnn.isclose(x, x), Tensor)
        assert isinstance(fastnn.isclose(X, X), np.ndarray)
        assert (
            Tensor([2.0]).is_nonzero() and not Tensor(0).is_nonzero() and 3 in Tensor([1, 3]) and 2 not in Tensor([1])
        )

    def test_numbers(self):
        x = Tensor([[1.5, -2.0]])
        assert x.tolist() == [[1.5, -2.0]] and f"{x[0, 0]:.3f}" == "1.500" and int(x[0, 1]) == -2
        assert round(float(x[0, 0])) == 2 and f"{x[0, 0]:+.1f}" == "+1.5" and list(reversed(x[0]))[0] == -2


class TestLikeThisOne:
    def test_new(self):
        x = Tensor(X)
        for y in (
            x.new_zeros(2, 2),
            x.new_ones((2, 2)),
            x.new_empty(2, 2),
            x.new_full((2, 2), 3),
            x.new_tensor([[1, 2]] * 2),
        ):
            assert y.shape == (2, 2) and y.dtype == np.float64
        assert x.new_zeros(2, dtype=fastnn.int64).dtype == np.int64 and x.new_full((1,), 7).item() == 7
        assert x.new_ones(2, requires_grad=True).requires_grad


class TestShapes:
    def test_as_another(self):
        x, other = Tensor(X), fastnn.zeros(6, 4)
        assert x.view_as(other).shape == x.reshape_as(other).shape == (6, 4)
        assert Tensor([[1.0], [2.0]]).expand_as(fastnn.zeros(3, 2, 5)).shape == (3, 2, 5)
        assert x[0].t().shape == x[0].T.shape == x[0].H.shape == (4, 3) and x.mT.shape == x.mH.shape == (2, 4, 3)
        assert Tensor([1.0]).t().shape == (1,)
        with pytest.raises(ValueError, match="t: expected at most 2 dimensions"):
            x.t()
        with pytest.raises(RuntimeError, match="mT: expected at least 2"):
            x[0, 0].mT  # noqa: B018

    def test_sum_to_size(self):
        x = Tensor(X, requires_grad=True)
        np.testing.assert_allclose(x.sum_to_size(3, 1), X.sum((0, 2))[:, None])
        x.sum_to_size((1, 3, 4)).sum().backward()
        np.testing.assert_array_equal(x.grad, np.ones_like(X))
        with pytest.raises(ValueError, match=r"sum_to_size: size \(2,\) does not fit"):
            x.sum_to_size(2)

    def test_resize(self):
        x = fastnn.arange(6)
        assert x.resize_(2, 2) is x and x.tolist() == [[0, 1], [2, 3]] and x.resize_(5).tolist() == [0, 1, 2, 3, 0]
        with pytest.raises(RuntimeError, match="resize_: a tensor that requires a gradient"):
            Tensor(X, requires_grad=True).resize_(3)

    def test_where_and_apply(self):
        x = Tensor([1.0, -1.0], requires_grad=True)
        x.where(x > 0, 0.5).sum().backward()
        assert x.grad.tolist() == [1, 0]
        assert Tensor([1.0, 4.0]).apply_(lambda v: v + 1).tolist() == [2, 5]
        with pytest.raises(RuntimeError, match="apply_: this tensor requires a gradient"):
            x.apply_(abs)

    def test_indexing(self):
        x = Tensor(X)
        for index in (
            0,
            -1,
            (0, 1, 2),
            (..., 1),
            (None, 0),
            slice(None, None, -2),
            [1, 0],
            (slice(None), [0, 2]),
            X > 0,
        ):
            np.testing.assert_array_equal(x[index], X[index])
        np.testing.assert_array_equal(x[x > 0], X[X > 0])
        np.testing.assert_array_equal(x[Tensor([1, 0]), Tensor([2, 2])], X[[1, 0], [2, 2]])
        np.testing.assert_array_equal(x[:, Tensor([True, False, True])], X[:, [0, 2]])
        np.testing.assert_array_equal(x[Tensor(1)], X[1])
        np.testing.assert_array_equal(x[range(2), 1], X[[0, 1], 1])
        np.testing.assert_array_equal(x[range(2), 1], X[[0, 1], 1])
        y = Tensor(np.zeros(3))
        y[1].fill_(5)
        assert y.tolist() == [0, 5, 0]


@pytest.mark.parametrize("index, theirs", [
    ((0, slice(1, None), [0, 2]), lambda x: x[0][1:, [0, 2]]),
    ((Tensor(1), slice(None), np.array([0, 2])), lambda x: x[1][:, [0, 2]]),
    ((slice(None), 0, ..., [0, 2]), lambda x: x[:, 0][..., [0, 2]]),
    ((1, None, [0, 2]), lambda x: x[1][None, [0, 2]]),
    (([0, 1], slice(None), -1), lambda x: x[..., -1][[0, 1]]),
    ((0, slice(None), np.array([True, False, True, False])), lambda x: x[0][:, [0, 2]]),
    ((0, [1, 2]), lambda x: x[0][[1, 2]]),
    ((slice(None), 1, [1, 2]), lambda x: x[:, 1][:, [1, 2]]),
])  # fmt: skip
def test_integers_pick_before_arrays(index, theirs):
    """As in PyTorch; NumPy would move dimensions to the front."""
    x = Tensor(X, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y, theirs(X))
    y.sum().backward()
    counts = np.zeros_like(X)
    flat = theirs(np.arange(X.size).reshape(X.shape))
    np.add.at(counts.reshape(-1), flat.reshape(-1), 1)
    np.testing.assert_array_equal(x.grad, counts)
    expected, z = X.copy(), Tensor(X.copy())
    expected.reshape(-1)[flat.reshape(-1)] = np.arange(flat.size)
    z[index] = Tensor(np.arange(float(flat.size)).reshape(flat.shape))
    np.testing.assert_array_equal(z, expected)
    w = Tensor(np.arange(float(flat.size)).reshape(flat.shape), requires_grad=True)
    z = x * 1
    z[index] = w
    np.testing.assert_array_equal(z, expected)
    z.sum().backward()
    np.testing.assert_array_equal(w.grad, np.ones(flat.shape))


def test_draws_of_elements():
    fastnn.manual_seed(0)
    assert Tensor([0.0, 1.0]).bernoulli().tolist() == [0, 1] and Tensor([0.0, 3.0]).multinomial(1).tolist() == [1]
