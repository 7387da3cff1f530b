"""How a call finds its plan: what is part of the key, what is converted before, what is checked each time."""

import threading

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground.operation import Layout, operation
from fastnn_kernels.ground.plans import forget
from fastnn_kernels.ground.prepared import Prepared

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)


class Probe:
    """An operation that notes what is planned, and returns what it is run with."""

    def __init__(self, **kinds):
        self.planned = []
        probe = operation("x", optional="y", numbers="scale", name="probe", **kinds)(self.check)
        probe.module = "fastnn_kernels.probe"
        probe._plan = self.plan
        self.operation = probe

    def check(self, x, y, scale, option):
        return x, y, option

    def plan(self, given, out):
        self.planned.append(self.operation.problem(given))
        return lambda out, *arguments: arguments

    def __call__(self, x, y=None, scale=1.0, option=None):
        return self.operation.run(None, x, y, scale, option)


@pytest.fixture
def probe():
    return Probe()


def array(*shape, dtype=F4):
    return np.zeros(shape, dtype)


def test_what_looks_the_same_is_planned_once(probe):
    x = array(3, 4)
    for _ in range(3):
        probe(x, option=(1, 2))
        probe(array(3, 4), scale=2.5, option=(1, 2))
        probe(array(3, 4), scale=2, option=(1, 1 + 1))
    assert len(probe.planned) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda: dict(x=array(4, 3)),
        lambda: dict(x=array(12)),
        lambda: dict(x=array(3, 4, dtype=F8)),
        lambda: dict(x=array(4, 3).T),
        lambda: dict(x=array(3, 8)[:, ::2]),
        lambda: dict(x=array(3, 4)[::-1]),
        lambda: dict(x=array(3, 4), y=array(1)),
        lambda: dict(x=array(3, 4), option=1),
        lambda: dict(x=array(3, 4), option=1.0),
        lambda: dict(x=array(3, 4), option=True),
        lambda: dict(x=array(3, 4), option=(1,)),
        lambda: dict(x=array(3, 4), option=(True,)),
        lambda: dict(x=array(3, 4), option="same"),
        lambda: dict(x=array(3, 4), option=()),
        lambda: dict(x=array(3, 4), option=2**62),
        lambda: dict(x=array(3, 4), option=-1),
        lambda: dict(x=array(3, 4), option=-0.0),
    ],
)
def test_what_looks_different_is_planned_anew(probe, other):
    probe(array(3, 4))
    probe(array(3, 4), option=0.0)
    before = len(probe.planned)
    probe(**other()), probe(**other())
    assert len(probe.planned) == before + 1


def test_strides_are_part_of_the_key(probe):
    layouts = (
        array(3, 8)[:, ::2],
        array(3, 12)[:, ::3],
        array(4, 3).T,
        array(3, 4)[::-1],
        array(3, 4)[:, ::-1],
        array(3, 5)[:, 1:],
    )
    for _ in range(2):
        for x in layouts:
            assert probe(x)[0] is x
    assert [problem[0].strides for problem in probe.planned] == [x.strides for x in layouts]


def test_threads_are_part_of_the_key(probe):
    for count in (1, 2, 1, 2):
        with kernels.threads(count):
            probe(array(3, 4))
    assert len(probe.planned) == 2


def test_texts_that_have_died_are_not_mistaken_for_others(probe):
    for number in range(2000):
        (_, _, _, option) = probe(array(2), option=f"text {number}")
        assert option == f"text {number}"
        assert probe.planned[-1][2] == f"text {number}"


def test_arrays_come_plain(probe):
    unaligned = np.frombuffer(bytes(17), np.uint8)[1:].view(np.uint8)[:16].view(F4)
    for given in ([[1.0, 2.0]], array(3).astype(">f4"), unaligned, np.float32(3)):
        x, *_ = probe(given)
        assert type(x) is np.ndarray and x.dtype in (F4, F8) and x.dtype.isnative and x.flags.aligned
        np.testing.assert_array_equal(x, np.asarray(given))
    x, y, *_ = probe(array(3), array(3, dtype=F8))
    assert x.dtype is y.dtype is F8


def test_options_come_plain(probe):
    for given, plain in (([1, 2], (1, 2)), (np.array([1, 2]), (1, 2)), (np.int64(3), 3), ((1, np.int32(2)), (1, 2))):
        option = probe(array(3), option=given)[3]
        assert option == plain and type(option) is type(plain)


def test_numbers_are_numbers(probe):
    assert probe(array(3), scale=np.float32(2.5))[2] == 2.5
    for wrong in (None, "2", [1.0, 2.0]):
        with pytest.raises(TypeError, match="probe: scale must be a number"):
            probe(array(3), scale=wrong)
    with pytest.raises(ValueError, match="probe: scale is too large"):
        probe(array(3), scale=10**400)


def test_longer_keys_than_fit_are_planned_each_time(probe):
    for _ in range(2):
        assert probe(array(3), option=tuple(range(40)))[3] == tuple(range(40))
        assert probe(array(3), option=10**30)[3] == 10**30
        assert probe(np.zeros((1,) * 20, F4))[0].ndim == 20
    assert len(probe.planned) == 6


def test_wrong_calls(probe):
    with pytest.raises(TypeError, match="probe: x must be an array, got None"):
        probe(None)
    with pytest.raises(TypeError, match="probe: x must be float32 or float64, got complex128"):
        probe(np.ones(3, complex))
    with pytest.raises(TypeError, match="probe: x must be an array, got a prepared operand"):
        probe(Prepared(array(3)))


def test_out_is_checked_each_time():
    x = np.random.default_rng(1).standard_normal((6, 8)).astype(F4)
    expected = kernels.softmax(x)
    memory = np.zeros(200, F4)
    for _ in range(3):
        assert kernels.softmax(x, out=memory[:48].reshape(6, 8)) is not None
        np.testing.assert_array_equal(memory[:48].reshape(6, 8), expected)
        inside = memory[100:148].reshape(6, 8)
        inside[...] = x
        with pytest.raises(ValueError, match="softmax: out overlaps an input"):
            kernels.softmax(inside, out=memory[104:152].reshape(6, 8))
        np.testing.assert_array_equal(inside, x)
    frozen = np.zeros_like(x)
    frozen.flags.writeable = False
    for out, error in (
        (frozen, "read-only"),
        (np.zeros((6, 8)), "must be float32"),
        (np.zeros((6, 1), F4), "must have shape"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"softmax: out .*{error}"):
            kernels.softmax(x, out=out)


LAYOUTS = {
    "transposed": lambda: np.zeros((8, 6), F4).T,
    "strided": lambda: np.zeros((12, 16), F4)[::-2, ::2],
    "unaligned": lambda: np.frombuffer(bytearray(193), np.uint8)[1:].view(F4).reshape(6, 8),
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_out_of_any_layout(make):
    x, out = np.random.default_rng(1).standard_normal((6, 8)).astype(F4), make()
    assert kernels.softmax(x, out=out) is out
    np.testing.assert_array_equal(out, kernels.softmax(x))
    a, b, out = x, np.ones((8, 8), F4), make()
    assert kernels.matmul(a, b, out=out) is out
    np.testing.assert_array_equal(out, kernels.matmul(a, b))


def test_plans_can_be_forgotten_while_others_run():
    x = np.random.default_rng(1).standard_normal((6, 8)).astype(F4)
    expected, wrong, stop = kernels.softmax(x), [], threading.Event()

    def work():
        while not stop.is_set():
            if not np.array_equal(kernels.softmax(x), expected):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(200):
        forget()
    stop.set()
    for worker in workers:
        worker.join()
    assert not wrong


def test_a_layout_is_that_of_an_array():
    x = array(3, 8)[:, ::2]
    ghost = Layout(x.shape, x.strides, x.dtype).ghost()
    assert (ghost.shape, ghost.strides, ghost.dtype) == (x.shape, x.strides, x.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, bool, np.float16, ">i4", ">f2"])
def test_other_numbers_become_floats(dtype):
    """The one rule: float32, or float64 where they meet that."""
    x = np.array([[1, 0, 1], [1, 1, 0]], dtype)
    w = np.array([[1.5, 0.5, 2.0]])
    for y, expected in (
        (kernels.softmax(x), kernels.softmax(x.astype(np.float32))),
        (kernels.relu(x[:, ::-1]), x[:, ::-1].astype(np.float32)),
        (kernels.max(x, 1), np.ones(2, np.float32)),
        (kernels.linear(x, w.astype(np.float32)), (x.astype(np.float32) @ w.T).astype(np.float32)),
        (kernels.linear(x, w), x.astype(np.float64) @ w.T),
        (kernels.pad(x, (1, 1)), np.pad(x.astype(np.float32), ((0, 0), (1, 1)))),
    ):
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y, expected)
    for _ in range(2):  # the plan of a second call
        np.testing.assert_array_equal(kernels.sum(x, 0), x.sum(0, dtype=np.float32))
    image = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)
    values = kernels.max_pool2d(image, 2)
    assert values.tolist() == [[[[5, 7], [13, 15]]]]


def test_integers_alone_stay_integers_in_arithmetic():
    x = np.arange(6).reshape(2, 3)
    assert kernels.matmul(x, x.T).dtype == kernels.add(x, x).dtype == np.int64
