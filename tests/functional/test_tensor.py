"""Tensor and the tape: what is recorded, what gradients add up to, which misuse is noticed."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

from fastnn import Tensor, differentiable, enable_grad, is_grad_enabled, no_grad
from fastnn import functional as F
from fastnn.tape import Array


def leaf(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


class TestMaking:
    def test_arrays_are_shared_and_keep_their_dtype(self):
        array = np.arange(3.0)
        x = Tensor(array)
        assert x.numpy() is array and x.dtype == np.float64
        assert Tensor(x).numpy() is array

    @pytest.mark.parametrize(
        ("data", "dtype"),
        [(1.5, np.float32), ([1.0, 2.0], np.float32), ([[1, 2]], np.int64), (True, np.bool_), (np.float64(2), "f8")],
    )
    def test_dtypes_of_python_numbers(self, data, dtype):
        assert Tensor(data).dtype == dtype

    @pytest.mark.parametrize("data", ["text", [[1, 2], [3]], None, np.array(["a"]), [object()], 1j])
    def test_only_numbers(self, data):
        with pytest.raises(TypeError, match="Tensor: "):
            Tensor(data)

    def test_only_floats_have_gradients(self):
        with pytest.raises(TypeError, match="only float32 and float64 tensors can require a gradient, not int64"):
            Tensor([1, 2], requires_grad=True)
        with pytest.raises(TypeError, match="not float16"):
            Tensor(np.ones(2, np.float16), requires_grad=True)


class TestReading:
    def test_as_array_and_numbers(self):
        x = leaf([1.0, 2.0], [3.0, 4.0])
        np.testing.assert_array_equal(np.asarray(x), [[1, 2], [3, 4]])
        assert np.asarray(x, np.float32).dtype == np.float32
        assert x.shape == (2, 2) and x.ndim == x.dim() == 2 and len(x) == 2 and x.numel() == 4
        assert x.size() == (2, 2) and x.size(1) == 2
        assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert x[1, 0].item() == float(x[1, 0]) == int(x[1, 0]) == 3

    def test_iteration_gives_rows_with_gradients(self):
        x = leaf([1.0, 2.0], [3.0, 4.0])
        first, second = x
        (first * second).sum().backward()
        np.testing.assert_array_equal(x.grad, [[3, 4], [1, 2]])
        with pytest.raises(TypeError, match="without dimensions"):
            iter(x.sum())

    def test_truth_of_one_element_only(self):
        assert Tensor([1.0]) and not Tensor(0.0)
        with pytest.raises(ValueError, match="ambiguous"):
            bool(Tensor([1.0, 2.0]))

    def test_integer_tensors_index_sequences(self):
        assert ["a", "b", "c"][Tensor([0, 5, 2]).argmax()] == "b"

    def test_representation(self):
        assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
        assert repr(leaf(1.0)) == "Tensor([1.], dtype=float64, requires_grad=True)"

    def test_comparisons_have_no_gradient(self):
        x = leaf(1.0, -2.0, 3.0)
        for result, expected in [
            (x > 0, [1, 0, 1]),
            (x >= 1, [1, 0, 1]),
            (x < 0, [0, 1, 0]),
            (x <= x, [1, 1, 1]),
            (x == 3.0, [0, 0, 1]),
            (x != np.array([1.0, 0, 3]), [0, 1, 0]),
        ]:
            assert result.dtype == bool and not result.requires_grad
            assert result.tolist() == [bool(i) for i in expected]
        x[x > 0].sum().backward()
        np.testing.assert_array_equal(x.grad, [1, 0, 1])

    def test_tensors_hash_by_identity(self):
        assert len({Tensor(1.0), Tensor(1.0)}) == 2


class TestNumPyMeetsTensor:
    @pytest.mark.parametrize("make", [lambda a, x: a - x, lambda a, x: np.subtract(a, x)], ids=["operator", "ufunc"])
    def test_array_on_the_left(self, make):
        x = leaf(1.0, 2.0)
        y = make(np.array([5.0, 5.0]), x)
        assert isinstance(y, Tensor)
        y.backward(np.array([1.0, 10.0]))
        np.testing.assert_array_equal(x.grad, [-1, -10])

    def test_reflected_operators(self):
        x = leaf(2.0)
        for y, value, slope in [
            (3 + x, 5, 1),
            (3 - x, 1, -1),
            (3 * x, 6, 3),
            (3 / x, 1.5, -0.75),
            (3**x, 9, 9 * np.log(3)),
        ]:
            x.grad = None
            y.backward()
            assert y.item() == value
            np.testing.assert_allclose(x.grad, slope)
        y = np.ones((1, 2)) @ leaf([1.0], [2.0])
        assert y.requires_grad and y.item() == 3

    def test_numpy_functions(self):
        x = leaf(1.0, 4.0)
        np.sqrt(x).sum().backward()
        np.testing.assert_array_equal(x.grad, [0.5, 0.25])
        with pytest.raises(TypeError, match="numpy.sinc cannot record a gradient"):
            np.sinc(x)
        np.testing.assert_array_equal(np.sinc(x.detach()), np.sinc([1, 4]))
        np.testing.assert_allclose(x, [1, 4])

    def test_arrays_do_not_swallow_gradients_in_place(self):
        total = np.zeros(2)
        with pytest.raises(TypeError, match="numpy.add cannot record"):
            total += leaf(1.0, 2.0)
        total += Tensor([1.0, 2.0])
        assert total.tolist() == [1, 2]

    def test_float32_stays_float32_with_python_numbers(self):
        x = Tensor([1.0, 2.0])
        for y in (x + 1, 2.0 * x, x**2, 1 / x, x - 0.5, x / 3):
            assert y.dtype == np.float32


class TestBackward:
    def test_gradients_add_up(self):
        x = leaf(1.0, 2.0)
        for times in (1, 2, 3):
            (x * x).sum().backward()
            np.testing.assert_array_equal(x.grad, times * 2 * x.numpy())
        x.zero_grad()
        assert x.grad is None

    def test_a_tensor_used_often(self):
        x = leaf(3.0)
        y = x * x
        z = y * y + y + x * y  # x^4 + x^2 + x^3
        z.backward()
        np.testing.assert_allclose(x.grad, 4 * 27 + 6 + 27)

    def test_the_same_gradient_array_for_two_leaves_is_not_shared(self):
        a, b = leaf(1.0), leaf(1.0)
        (a + b).backward()
        a.grad *= 5
        assert b.grad[0] == 1

    def test_a_given_gradient_is_not_changed(self):
        x, gradient = leaf(1.0, 2.0), np.array([1.0, 10.0])
        y = x + 0
        y.backward(gradient, retain_graph=True)
        y.backward(gradient)
        np.testing.assert_array_equal(x.grad, [2, 20])
        np.testing.assert_array_equal(gradient, [1, 10])

    def test_backward_from_a_leaf(self):
        x = leaf(2.0)
        x.backward()
        x.backward(Tensor([3.0]))
        assert x.grad[0] == 4

    def test_gradient_has_the_dtype_of_its_leaf(self):
        x = leaf(1.0, dtype=np.float32)
        (x * np.float64(2)).sum().backward()
        assert x.grad.dtype == np.float32

    def test_integers_and_masks_in_between_have_no_gradient(self):
        x = leaf(1.0, 3.0, 2.0)
        value, index = x.max(dim=0)
        assert index.item() == 1 and not index.requires_grad
        (value * index).backward()
        np.testing.assert_array_equal(x.grad, [0, 1, 0])

    def test_long_chains_do_not_overflow_the_stack(self):
        x = leaf(1.0)
        y = x
        for _ in range(50_000):
            y = y + 1.0
        y.backward()
        assert x.grad[0] == 1
        y = x
        for _ in range(50_000):
            y = y + 1.0
        del y  # never walked: destroyed link by link

    def test_memory_is_freed_on_the_way(self):
        x = leaf(*range(10))
        middle = x * 2
        y = (middle * middle).sum()
        watch = weakref.ref(middle.numpy())
        del middle
        assert watch() is not None  # the product needs it
        y.backward()
        assert watch() is None

    def test_results_that_no_gradient_needs_are_freed_at_once(self):
        x = leaf(*range(10))
        middle = x + 1
        watch = weakref.ref(middle)
        y = middle + 1
        del middle
        assert watch() is None and y.requires_grad

    def test_no_reference_cycles(self):
        gc.collect()
        gc.disable()
        try:
            x = leaf(1.0, 2.0)
            y = (x * x).sum()
            watch = weakref.ref(y)
            y.backward(retain_graph=True)
            del y
            assert watch() is None
        finally:
            gc.enable()

    def test_retained_graph_can_be_walked_again(self):
        x = leaf(2.0)
        y = x**3
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad[0] == 24
        with pytest.raises(RuntimeError, match="retain_graph=True"):
            y.backward()

    def test_graphs_that_share_a_freed_part(self):
        x = leaf(2.0)
        shared = x * x
        a, b = shared * 1.0, shared * 2.0
        a.backward()
        with pytest.raises(RuntimeError, match="already walked and freed"):
            b.backward()

    def test_misuse(self):
        x = leaf(1.0, 2.0)
        with pytest.raises(RuntimeError, match="does not require a gradient"):
            Tensor([1.0]).backward()
        with pytest.raises(RuntimeError, match=r"shape \(2,\) needs an explicit gradient"):
            (x * 2).backward()
        with pytest.raises(ValueError, match=r"expected a gradient of shape \(2,\), got \(3,\)"):
            (x * 2).backward(np.ones(3))
        with pytest.raises(ValueError, match=r"grad: expected shape \(2,\), got \(3,\)"):
            x.grad = np.ones(3)
        with pytest.raises(RuntimeError, match="grad can be set on leaf tensors"):
            (x * 2).grad = np.ones(2)
        with pytest.raises(RuntimeError, match="can be changed on leaf tensors only"):
            (x * 2).requires_grad = False
        assert (x * 2).grad is None

    def test_threads_walk_the_same_leaves_with_their_own_graphs(self):
        leaves = [leaf(float(i)) for i in range(8)]

        def work(x):
            for _ in range(200):
                (x * x).backward()

        threads = [threading.Thread(target=work, args=(x,)) for x in leaves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [x.grad[0] for x in leaves] == [400.0 * i for i in range(8)]


class TestGrad:
    def test_is_a_tensor_of_the_memory_that_collects(self):
        x = leaf(1.0, 2.0)
        (x * 3).sum().backward()
        g = x.grad
        assert isinstance(g, Tensor) and g is x.grad and not g.requires_grad and g.tolist() == [3, 3]
        (x * 3).sum().backward()
        assert g is x.grad and g.tolist() == [6, 6]
        g.zero_()
        assert x.grad.tolist() == [0, 0]
        x.grad += 1
        assert x.grad.tolist() == [1, 1] and np.linalg.norm(x.grad) == np.sqrt(2)

    def test_can_be_set(self):
        x = leaf(1.0, 2.0)
        for value in (Tensor([5.0, 6.0]), np.array([5.0, 6.0]), [5, 6]):
            x.grad = value
            assert x.grad.tolist() == [5, 6] and x.grad.dtype == np.float64
        with pytest.raises(ValueError, match=r"grad: expected shape \(2,\), got \(3,\)"):
            x.grad = np.zeros(3)
        x.grad = None
        assert x.grad is None
        with pytest.raises(RuntimeError, match="grad can be set on leaf tensors"):
            (x * 2).grad = np.zeros(2)


class TestModes:
    def test_no_grad_records_nothing(self):
        x = leaf(1.0)
        with no_grad():
            assert not is_grad_enabled() and not (x * 2).requires_grad
            with enable_grad():
                assert (x * 2).requires_grad
        assert is_grad_enabled() and (x * 2).requires_grad

    def test_as_decorator_and_after_errors(self):
        @no_grad()
        def quiet(x, depth=2):
            return quiet(x, depth - 1) if depth else x * 2

        assert not quiet(leaf(1.0)).requires_grad
        with pytest.raises(ZeroDivisionError), no_grad():
            1 / 0  # noqa: B018
        assert is_grad_enabled()

    def test_holds_for_one_thread(self):
        seen = []
        with no_grad():
            thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
            thread.start()
            thread.join()
        assert seen == [True]

    def test_detach(self):
        x = leaf(2.0)
        y = x * x.detach()
        y.backward()
        assert x.grad[0] == 2 and x.detach().numpy() is x.numpy()


class TestWriting:
    def test_leaves_are_written_under_no_grad(self):
        x = leaf(1.0, 2.0)
        alias = x
        (x * 3).sum().backward()
        with no_grad():
            x -= 0.5 * x.grad
            x *= 2
            x[0] = 7
        assert alias is x and x.tolist() == [7.0, 1.0] and x.requires_grad

    def test_data_is_always_writable(self):
        x = leaf(1.0, 2.0)
        x.data -= 1
        x.data[1] = 5
        assert x.tolist() == [0.0, 5.0] and x.requires_grad
        x.data = [3, 4]
        assert x.tolist() == [3.0, 4.0]
        with pytest.raises(ValueError, match=r"data: expected shape \(2,\), got \(3,\)"):
            x.data = np.ones(3)

    def test_leaves_are_not_written_while_recording(self):
        x = leaf(1.0, 2.0)
        with pytest.raises(RuntimeError, match="cannot be changed in place while operations are recorded"):
            x += 1
        with pytest.raises(RuntimeError, match="item assignment"):
            x[0] = 1

    def test_in_place_on_results_gives_the_right_gradient(self):
        x = leaf(2.0)
        y = x * x
        before = y
        y *= x
        y += 1
        y.backward()
        assert x.grad[0] == 12 and y.item() == 9
        assert before is y  # as in PyTorch: another memory, the same object

    def test_in_place_with_a_recorded_operand(self):
        x, total = leaf(2.0), Tensor([1.0])
        total += x * 3
        total.backward()
        assert x.grad[0] == 3

    def test_writing_between_forward_and_backward_is_noticed(self):
        for write in (
            lambda x: x.data.__isub__(1),
            lambda x: x.data.__setitem__(0, 1.0),
            lambda x: setattr(x, "data", [9]),
        ):
            x = leaf(2.0)
            y = x * x
            write(x)
            with pytest.raises(RuntimeError, match="written to after mul used it"):
                y.backward()

    def test_read_only_memory(self):
        array = np.ones(2)
        array.flags.writeable = False
        x = Tensor(array)
        assert (x + 1).tolist() == [2, 2]
        with pytest.raises(ValueError, match="memory is read-only"):
            x += 1

    def test_plain_tensors_are_arrays_one_can_write(self):
        x = Tensor(np.zeros((2, 2)))
        x[0] = 1
        x[Tensor([1, 1]), Tensor([0, 1])] = Tensor([5.0, 6.0])
        x -= 1
        assert x.tolist() == [[0, 0], [4, 5]]
        y = leaf(1.0, 2.0)
        x[0] = y
        x.sum().backward()
        assert x[0].tolist() == [1, 2] and y.grad.tolist() == [1, 1]

    def test_copies(self):
        x = leaf(1.0, 2.0)
        for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert twin.requires_grad and twin.tolist() == [1, 2]
            twin.data[0] = 9
            assert x.tolist() == [1, 2]
        assert copy.copy(x).numpy() is x.numpy()


class TestDifferentiable:
    def test_own_operation(self):
        @differentiable
        def cube(x: Array, scale: float = 1.0):
            return scale * x**3, lambda dy, needs: (dy * 3 * scale * x**2,)

        x = leaf(2.0)
        y = cube(x, scale=2.0)
        y.backward()
        assert y.item() == 16 and x.grad[0] == 24
        assert isinstance(cube(np.ones(2)), np.ndarray) and cube.__name__ == "cube"

    def test_arrays_by_name_in_any_order(self):
        x, w, b = leaf(2.0), leaf([3.0]), leaf(4.0)
        F.linear(bias=b, input=x, weight=w).backward()
        assert x.grad[0] == 3 and w.grad[0, 0] == 2 and b.grad[0] == 1
        F.mul(other=x, input=b).backward()
        assert x.grad[0] == 7
        F.neg(input=b).backward()
        assert b.grad[0] == 2

    def test_needs_says_which_gradients_are_wanted(self):
        wanted = []

        @differentiable
        def three(a: Array, b: Array, c: Array | None = None):
            def backward(dy, needs):
                wanted.append(needs)
                return tuple(dy if need else None for need in needs)

            return a + b, backward

        three(leaf(1.0), Tensor([1.0])).backward()
        three(1.0, Tensor([1.0]), leaf(1.0)).backward()
        assert wanted == [(True, False, False), (False, False, True)]

    def test_gradients_written_in_place(self):
        targets = []

        @differentiable(writes_gradients=True)
        def double(a: Array):
            def backward(dy, needs, out):
                targets.append(out[0])
                return (np.multiply(dy, 2, out=out[0]),)

            return a * 2, backward

        x = leaf(1.0, 2.0)
        double(x).sum().backward()
        x.grad = None
        x._node.buffer = buffer = np.full(2, np.nan)
        for _ in range(2):
            double(x).sum().backward()
        assert targets[0] is None and targets[1] is buffer and targets[2] is None
        assert x.grad.numpy() is buffer and buffer.tolist() == [4, 4]

    def test_mistakes_in_operations_are_named(self):
        @differentiable
        def short(a: Array, b: Array):
            return a + b, lambda dy, needs: (dy,)

        @differentiable
        def wrong(a: Array):
            def backward(dy, needs):
                return (dy[0],)

            return a + 1, backward

        with pytest.raises(RuntimeError, match="short gave 1 gradients for 2 array arguments"):
            short(leaf(1.0), leaf(1.0)).backward()
        with pytest.raises(RuntimeError, match=r"wrong gave a gradient of shape \(\) for a leaf of shape \(1,\)"):
            wrong(leaf(1.0)).backward()
        with pytest.raises(TypeError, match="nothing has no leading argument annotated Array"):

            @differentiable
            def nothing(a, b):
                return a, None
