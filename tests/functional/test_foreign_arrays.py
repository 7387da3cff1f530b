"""Arrays of others go in and out without copies: DLPack, the array interface, data frames, pictures; masks do not."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor
from fastnn import functional as F


class OnlyDLPack:
    """An array that speaks DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class OnlyInterface:
    """An array that has NumPy's array interface and nothing else, as pictures of PIL."""

    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__


class Frame:
    """A table that makes an array of itself when asked, as data frames of pandas."""

    def __init__(self, array):
        self.values = array

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


KINDS = [OnlyDLPack, OnlyInterface, Frame]


class TestGoingIn:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64])
    def test_memory_is_shared_and_the_dtype_kept(self, kind, dtype):
        array = np.arange(6, dtype=dtype).reshape(2, 3)
        for x in (fastnn.as_tensor(kind(array)), Tensor(kind(array)), fastnn.asarray(kind(array))):
            assert x.dtype == dtype and np.shares_memory(x.numpy(), array)
        copied = fastnn.tensor(kind(array))
        assert copied.dtype == dtype and not np.shares_memory(copied.numpy(), array)
        assert fastnn.tensor(kind(array), dtype=fastnn.float32).dtype == np.float32

    def test_from_dlpack(self):
        array = np.arange(6.0).reshape(2, 3)[:, ::2]
        for source in (array, Tensor(array), OnlyDLPack(array)):
            x = fastnn.from_dlpack(source)
            assert np.shares_memory(x.numpy(), array) and x.tolist() == array.tolist()

    def test_pytorchs(self):
        torch = pytest.importorskip("torch")
        theirs = torch.arange(6.0).reshape(2, 3)
        for x in (fastnn.as_tensor(theirs), fastnn.from_dlpack(theirs), Tensor(theirs.T)):
            x[0, 0] = 7
            assert theirs[0, 0] == 7
            theirs[0, 0] = 0
        np.testing.assert_array_equal(F.relu(theirs - 2), (theirs - 2).clamp(min=0))
        with pytest.raises(TypeError, match="Tensor: cannot make an array of Tensor"):
            Tensor(theirs.requires_grad_())

    def test_jaxs(self):
        jnp = pytest.importorskip("jax.numpy")
        theirs = jnp.arange(6.0).reshape(2, 3)
        assert fastnn.as_tensor(theirs).tolist() == theirs.tolist()

    def test_pandas(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        assert fastnn.tensor(frame).tolist() == [[1, 3], [2, 4]] and fastnn.tensor(frame["a"]).dtype == np.float64
        with pytest.raises(TypeError, match="Tensor: data must be numbers"):
            fastnn.tensor(pandas.DataFrame({"a": ["x"]}))

    def test_pictures(self):
        image = pytest.importorskip("PIL.Image").fromarray(np.full((4, 5, 3), 7, np.uint8))
        assert fastnn.tensor(image).shape == (4, 5, 3) and fastnn.as_tensor(image).dtype == np.uint8


class TestGoingOut:
    def test_dlpack(self):
        x = Tensor(np.arange(6.0).reshape(2, 3))
        assert np.shares_memory(np.from_dlpack(x), x.numpy()) and x.__dlpack_device__() == (1, 0)
        with pytest.raises(BufferError, match="requires a gradient"):
            np.from_dlpack(Tensor([1.0], requires_grad=True))

    def test_to_pytorch(self):
        torch = pytest.importorskip("torch")
        x = fastnn.arange(6.0)
        theirs = torch.from_dlpack(x)
        theirs[0] = 9
        assert x[0] == 9 and torch.as_tensor(x.numpy())[0] == 9


MASKED = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], [[True, False], [False, False]])


NAMES = """
abs add all any argmax argsort cat clamp clone cumsum diag div eq exp flatten flip getitem isnan log_softmax
logical_not matmul max maximum mean min mul neg permute pow prod relu reshape roll sort softmax split sqrt squeeze
stack std sum take tile topk transpose tril unbind unsqueeze var where
""".split()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_masked_arrays_are_refused(name, dtype):
    """The mask would be lost on the way to a kernel."""
    masked = MASKED.astype(dtype)
    more = {
        **dict.fromkeys(("add", "div", "eq", "matmul", "maximum", "mul"), (np.ones((2, 2)),)),
        **dict.fromkeys(("cumsum", "flip", "unsqueeze", "getitem"), (0,)),
        **dict.fromkeys(("split", "roll", "topk", "pow"), (1,)),
        **dict.fromkeys(("reshape", "tile"), ((4,),)), "permute": (1, 0),
        "take": ([0],), "clamp": (0,), "where": (MASKED.astype(dtype), 0.0),
    }.get(name, ())  # fmt: skip
    function = getattr(fastnn, name, None) or getattr(F, name)
    arguments = ([masked, masked],) if name in ("cat", "stack") else (masked, *more)
    with pytest.raises((TypeError, ValueError), match="masked array"):
        function(*arguments)
