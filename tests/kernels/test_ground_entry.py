"""How Python calls a kernel: what it refuses, and that it holds on to nothing."""

import copy
import ctypes
import gc
import inspect
import pickle
import re
import sys
from itertools import product

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels import activation
from fastnn_kernels.cpu.activation import FUNCTIONS
from fastnn_kernels.ground import entry
from fastnn_kernels.ground.backend import load_all
from fastnn_kernels.ground.jit import Kernel, kernel
from fastnn_kernels.ground.registry import specs

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
KERNEL = FUNCTIONS["leaky_relu"].forward_kernel
WANTED = "must be a contiguous array of float32 of rank 1, aligned"


def array(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((array(3), array(3), 0.1, 3), "takes 5 arguments"),
        ((array(3), array(3), 0.1, 3, 1, 1), "takes 5 arguments"),
        ((array(3), [1.0, 2.0, 3.0], 0.1, 3, 1), f"argument 2 {WANTED}"),
        ((array(3, dtype=np.float64), array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(3, dtype=np.int32), array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(3, 1), array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(6)[::2], array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(3), array(3), "steep", 3, 1), "argument"),
        ((array(3), array(3), 0.1, None, 1), "argument"),
        ((None, array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(3), None, 0.1, 3, 1), f"argument 2 {WANTED} and writable"),
    ],
)
def test_wrong_arguments_are_refused(arguments, complaint):
    with pytest.raises(TypeError, match=complaint):
        KERNEL[F4](*arguments)


def test_subclasses_and_new_dtype_objects_are_arrays(tmp_path):
    np.save(tmp_path / "x.npy", -array(4))
    mapped, out = np.load(tmp_path / "x.npy", mmap_mode="r"), array(4)
    KERNEL[F4](mapped, out, 0.5, 4, 1)
    assert type(mapped) is np.memmap and (out == -0.5).all()
    x = -array(4).astype(np.dtype(">f4").newbyteorder())
    assert x.dtype == F4
    KERNEL[F4](x, out, 0.25, 4, 1)
    assert (out == -0.25).all()


def test_nothing_is_kept():
    x, out, alike = array(50, 2), array(50, 2), unpickled(array(50, 2))
    watched = x, out, None, F4, alike, alike.dtype

    def calls():
        kernels.leaky_relu(x)
        kernels.leaky_relu(alike)
        kernels.leaky_relu(x, out=out)
        kernels.leaky_relu_backward(x, out, out=out)
        KERNEL[F4](x[:, 0].copy(), out[:, 0].copy(), 0.1, 50, 1)
        with pytest.raises(TypeError):
            kernels.leaky_relu(x, "steep", out=out)

    calls()  # compiling leaves much behind
    gc.collect()  # and so did other tests
    counts = [sys.getrefcount(one) for one in watched]
    for _ in range(100):
        calls()
    gc.collect()
    assert np.abs(np.subtract([sys.getrefcount(one) for one in watched], counts)).max() < 50


def unpickled(x):
    made = pickle.loads(pickle.dumps(x))
    assert made.dtype == x.dtype and made.dtype is not x.dtype
    return made


def at_odd_address(x):
    made = np.frombuffer(bytearray(x.nbytes + 1), x.dtype, offset=1).reshape(x.shape)
    made[...] = x
    assert made.flags.c_contiguous and made.flags.aligned == (x.itemsize == 1)
    return made


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def probe(signature, writes, parallel):
    """Return a kernel that the registry does not know."""

    def filled(a, b, c, d, *numbers):
        a[:], b[:], c[:], d[:] = 1, 2, 3, 4

    name = f"probe__{re.sub(r'[^a-z0-9]', '', signature.replace('::1', 'c'))}_{writes}_{parallel}".replace(" ", "")
    filled.__name__ = filled.__qualname__ = name
    return Kernel(filled, signature, writes.split(), parallel, False)


SIGNATURES = ["T[::1], i4[::1], u1[::1], f8[::1]", "T[:], T[:,:], i8[:,::1], T[:,:,:], int, T", "T[:,:,::1]," * 4]
PROBES = [probe(*which) for which in product(SIGNATURES, ("a b c d", "b", "d"), (False, True))]


@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_kernels_refuse_unaligned_arrays_and_read_only_ones_that_they_write(probe, dtype):
    kinds = probe.argument_types(dtype)
    good = [np.zeros((2,) * kind.ndim, str(kind.dtype)) for kind in kinds[:4]]
    numbers = [1] * len(kinds[4:])
    for i, wanted in enumerate(kinds[:4]):
        spoiled = [at_odd_address(good[i])] * (good[i].itemsize > 1) + [read_only(good[i])] * (i in probe.written)
        if wanted.layout == "A":
            spoiled += [x[::-1] for x in spoiled]
        else:
            spoiled.append(np.zeros(4, good[i].dtype)[::2])
        for bad in spoiled:
            with pytest.raises(TypeError, match=rf"argument {i + 1} must be .* rank {wanted.ndim}, aligned"):
                probe[dtype](*good[:i], bad, *good[i + 1 :], *numbers)
    assert not any(x.any() for x in good)
    probe[dtype](*[x if i in probe.written else read_only(x) for i, x in enumerate(good)], *numbers)


def test_every_kernel_names_what_it_writes():
    for spec in specs():
        names = spec.kernel.function.__code__.co_varnames
        assert spec.kernel.written and {names[i] for i in spec.kernel.written} == set(spec.writes), spec.name
    with pytest.raises(TypeError, match="probe__none: no argument is named out"):
        kernel("T[:]", name="probe__none")(lambda x: None)


@pytest.mark.parametrize("function", [kernels.relu, kernels.leaky_relu, kernels.relu_backward, kernels.add])
@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
def test_unpickled_arrays_and_dtypes_with_metadata_give_plain_results(function, dtype):
    count = 1 if function in (kernels.relu, kernels.leaky_relu) else 2
    x = np.linspace(-3, 3, 24, dtype=dtype).reshape(4, 6)
    expected = function(*[x] * count)
    marked = x.astype(np.dtype(dtype, metadata={"unit": "V"}))
    for other in (unpickled(x), marked, marked[:, ::-1], unpickled(x).T):
        assert other.dtype is not dtype
        same = expected if other.shape == x.shape else expected.T
        same = same[:, ::-1] if other.strides[-1] < 0 else same
        for given in ([other] * count, [other, np.ascontiguousarray(other).astype(dtype)][:count]):
            y = function(*given)
            assert y.dtype is dtype and y.dtype.metadata is None
            np.testing.assert_array_equal(y, same)
            out = unpickled(np.zeros_like(y))
            assert function(*given, out=out) is out
            np.testing.assert_array_equal(out, same)


def test_unpickled_arrays_are_done_in_c(monkeypatch):
    kernels.relu(array(3)), kernels.relu(array(3, dtype=F8))
    monkeypatch.setattr("fastnn_kernels.ground.operation.Operation.general", None)
    for dtype in (F4, F8):
        assert kernels.relu(unpickled(-array(3, dtype=dtype))).tolist() == [0, 0, 0]


def test_unaligned_and_read_only_arrays_take_the_general_way():
    x = -array(3, 4)
    np.testing.assert_array_equal(kernels.leaky_relu(at_odd_address(x)), np.float32(-0.01))
    np.testing.assert_array_equal(kernels.leaky_relu(read_only(x)), np.float32(-0.01))
    with pytest.raises(ValueError, match="leaky_relu: out is read-only"):
        kernels.leaky_relu(x, out=read_only(x))


class Shrinking:
    """A number that frees the memory of an array as it is converted."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __float__(self):
        for x in self.arrays:
            x.resize(0, refcheck=False)
        return 0.5

    def __index__(self):
        return int(2 * float(self))


def test_numbers_are_converted_before_arrays_are_read():
    """Otherwise this reads and writes 8 MB of freed memory."""
    for number in ("slope", "tasks"):
        x, out = array(1 << 20), array(1 << 20)
        shrinking = Shrinking(x, out)
        with pytest.raises(TypeError, match=r"argument \d must be a number"):
            KERNEL[F4](x, out, *((shrinking, 0, 1) if number == "slope" else (0.5, 0, shrinking)))
        assert x.size == out.size == 1 << 20
    for call in (
        lambda x, eps: kernels.layer_norm(x, 1 << 10, eps=eps),
        lambda x, eps: kernels.layer_norm_backward(x, x, 1 << 10, eps=eps),
        lambda x, eps: kernels.batch_norm(x, None, None, training=True, eps=eps),
        lambda x, p: kernels.dropout(x, p, 1),
        lambda x, p: kernels.normalize(x, 2.0, 1, p),
        lambda x, p: kernels.local_response_norm(x[None], 3, p),
        lambda x, p: kernels.huber_loss(x, x, delta=p),
        lambda x, p: kernels.pad(x, (1, 1), value=p),
    ):
        x = array(1 << 10, 1 << 10)
        try:
            call(x, Shrinking(x))
        except (TypeError, ValueError):  # it may notice that the shape is another now, or refuse the number
            pass
    for shape in ((4,), (1 << 20,)):
        x = array(*shape)
        assert kernels.leaky_relu(x, Shrinking(x)).size == 0
        x = array(*shape)
        with pytest.raises(ValueError, match="leaky_relu_backward: dy has shape"):
            kernels.leaky_relu_backward(array(*shape), x, Shrinking(x))


@pytest.mark.parametrize("value", [None, "0.5", 1j, [0.5], (0.5,), np.ones(1), np.ones((1, 2)), 10**400, -(10**400)])
@pytest.mark.parametrize("shape", [(3,), (1 << 17,)], ids=["small", "large"])
def test_parameters_that_are_no_numbers_are_named(value, shape):
    x = array(*shape)
    error = ValueError if isinstance(value, int) else TypeError
    for function, given in ((kernels.leaky_relu, [x]), (kernels.leaky_relu_backward, [x, x])):
        with pytest.raises(error, match=rf"^{function.__name__}: negative_slope (must be a number|is too large)"):
            function(*given, value)


@pytest.mark.parametrize("value", [2, True, np.float32(0.5), np.float64(0.5), np.int8(-3), np.array(0.5), 0.25])
def test_all_kinds_of_numbers_are_taken(value):
    for dtype in (F4, F8):
        x = -array(3, dtype=dtype)
        np.testing.assert_array_equal(kernels.leaky_relu(x, value), x * dtype.type(value))


def test_all_functions_can_be_pickled():
    for name in kernels.__all__:
        function = getattr(kernels, name)
        if callable(function):
            assert pickle.loads(pickle.dumps(function)) is function
        for part in ("backward", "with_gradient"):
            if hasattr(function, part):
                assert pickle.loads(pickle.dumps(getattr(function, part))) is getattr(function, part)


def test_entry_points_are_known_by_their_names():
    for name in ("add", "mul", *activation.__all__):
        function = getattr(kernels, name)
        assert pickle.loads(pickle.dumps(function)) is function
        assert copy.deepcopy(function) is function
        assert function.__qualname__ == name
    assert str(inspect.signature(kernels.leaky_relu)) == "(input, negative_slope=0.01, *, out=None)"
    assert str(inspect.signature(kernels.relu_backward)) == "(dy, y, *, out=None)"


def test_places_in_the_table_of_numpy():
    """EquivTypes says which dtypes are equal; NewLikeArray makes an array like another, and takes over a dtype."""
    equal = ctypes.PYFUNCTYPE(ctypes.c_ubyte, ctypes.py_object, ctypes.py_object)(entry.numpy_address("EquivTypes"))
    names = ("f4", "f8", "i4", "i8", "u1", "u4", "u8", "f2", ">f4", ">f8", "c8", "q", "l", "M8[s]", "m8[s]", "S4", "O")
    for a in map(np.dtype, names):
        for b in map(np.dtype, names):
            assert equal(a, b) == (a == b), (a, b)
    assert equal(F4, pickle.loads(pickle.dumps(array(1))).dtype)
    new = entry.NEW_LIKE(entry.numpy_address("NewLikeArray"))
    before = sys.getrefcount(F8)
    like = array(2, 3)
    for order, strides in ((0, (24, 8)), (1, (8, 16))):  # C, Fortran
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(F8))
        made = new(like, order, id(F8), 0)
        assert (type(made), made.shape, made.dtype, made.strides) == (np.ndarray, (2, 3), F8, strides)
        del made
    assert sys.getrefcount(F8) == before
    assert type(new(like.view(np.recarray), 0, None, 1)) is np.recarray and new(like, 0, None, 1).dtype is F4


def test_outputs_made_in_c_can_be_watched():
    made = []

    def allocate(shape, dtype):
        made.append(np.full(shape, np.nan, dtype))
        return made[-1]

    x = -array(2, 3)
    for spoilt in (x, unpickled(x), x.astype(F8)):
        kernels.relu(spoilt)
        before = sys.getrefcount(F4), sys.getrefcount(F8)
        entry.set_new_like(allocate)
        try:
            y = kernels.relu(spoilt)
        finally:
            entry.set_new_like()
        assert y is made.pop() and y.shape == x.shape and not y.any() and y.dtype in (F4, F8)
        del y
        assert np.abs(np.subtract((sys.getrefcount(F4), sys.getrefcount(F8)), before)).max() <= 1
        assert kernels.relu(spoilt) is not None and not made


def test_the_function_gives_what_it_was_given_to_write_to():
    x = -array(3, 4)
    out = array(3, 4)
    assert kernels.leaky_relu(x, out=out) is out and kernels.leaky_relu(x, out=x) is x
    halves = -array(6, 4)
    with pytest.raises(ValueError, match="leaky_relu: out overlaps an input"):
        kernels.leaky_relu(halves[:4], out=halves[2:])
    with pytest.raises(ValueError, match="leaky_relu: out overlaps an input"):
        kernels.leaky_relu(halves[:4], out=halves[:4])
    kernels.leaky_relu(halves[:3], out=halves[3:])
    np.testing.assert_array_equal(halves[3:], np.float32(-0.01))


def test_entries_have_names_of_their_own():
    """Machine code from the disk cache is linked by name: two kernels of one name would call each other."""
    load_all("cpu")
    names = [spec.kernel.dispatcher.py_func.__qualname__ for spec in specs()]
    assert len(names) == len(set(names)) > 100
    assert all(spec.name in name for spec, name in zip(specs(), names, strict=True))
