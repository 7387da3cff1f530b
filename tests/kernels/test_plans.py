"""Plans: kept by the types as well as the values of their arguments, and bounded by their bytes."""

import contextlib

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground import plans as _plans
from fastnn_kernels.ground.operation import operations
from fastnn_kernels.ground.plans import held_bytes


@pytest.fixture(autouse=True)
def forgotten():
    _plans.forget()
    yield
    _plans.forget()


def kept():
    """Return the bytes of the arrays in all plans that are kept, found by the garbage collector."""
    import gc

    total, seen = 0, set()
    rest = [made for made in _plans._keepers]
    while rest:
        item = rest.pop()
        if id(item) in seen or isinstance(item, type) or type(item).__name__ == "module":
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray) and item.base is None:
            total += item.nbytes
        if isinstance(item, dict) and "__builtins__" in item:  # what a module knows
            continue
        rest += gc.get_referents(item)
    return total


def test_every_array_of_a_plan_is_counted():
    table = np.zeros(1000)

    class Holder:
        pass

    Holder.__module__ = "fastnn_kernels.somewhere"
    holder = Holder()
    holder.table = table[::2]

    def closure():
        return holder

    assert held_bytes(closure) == held_bytes([{"a": (closure, table)}]) == 8000
    if closure is None:
        unset = 1
    assert held_bytes(lambda: (unset, table)) == 8000, "a variable that is not set"
    ghost = _plans.ghost((1000, 1000, 1000), np.dtype(np.float64))
    assert held_bytes(ghost) < 100
    assert held_bytes((np.zeros(3), np.zeros(3))) == 48


class Keeper:
    """Keeps plans as operations do."""

    def __init__(self):
        self.plans = {}
        _plans.add(self)

    def __call__(self, number, size=1 << 20):
        if number not in self.plans:
            self.plans[number] = _plans.counted(np.zeros(size))
        return self.plans[number]

    def cache_clear(self):
        self.plans.clear()


def test_plans_are_bounded_by_bytes():
    first, second = Keeper(), Keeper()
    for number in range(40):
        assert first(number).size == second(number).size == 1 << 20
        assert kept() <= _plans.BYTES
    assert first(39) is first(39), "the last ones are kept"
    assert first("large", _plans.BYTES) is first("large")
    _plans._keepers[:] = [keeper for keeper in _plans._keepers if keeper not in (first, second)]


def test_plans_are_bounded_in_number(monkeypatch):
    monkeypatch.setattr(_plans, "LIMIT", 10)
    for n in range(100):
        kernels.softmax(np.zeros((n, 3), np.float32))
    assert len(operations()["softmax"].plans) <= 10


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_pooling_over_ever_new_sizes_keeps_little(count_include_pad):
    window = (3, 2, 1, False, count_include_pad, None)
    most = 0
    for n in range(300):
        x = np.broadcast_to(np.float32(1), (1, 4, 40 + n, 61))
        for image in (x, np.broadcast_to(np.float32(1), (1, 40 + n, 61, 4)).copy().transpose(0, 3, 1, 2)):
            y = kernels.avg_pool2d(image, *window)
            kernels.avg_pool_backward(2, y, image.shape, window)
            kernels.max_pool2d(image, 3, 2, 1)
        most = max(most, kept() / (n + 1)) if n % 100 == 99 else most
    assert kept() <= _plans.BYTES
    assert most < 40_000, "bytes of a size: some per row and per column, none per pixel"


def test_what_grows_with_the_image_is_bounded():
    for n in range(60):
        kernels.interpolate(np.zeros((1, 1, 2, 3), np.float32), (2, 30_000 + n), mode="bicubic")
        kernels.pad(np.zeros((1, 200_000 + n), np.float32), (1, 2), "reflect")
    assert kept() <= _plans.BYTES


@pytest.mark.parametrize("bad", [(1.0, 1), (True, 1), [1, 1.0]])
@pytest.mark.parametrize("option", ["stride", "padding", "dilation"])
def test_windows_are_refused_after_equal_ones_were_accepted(option, bad):
    """1 == 1.0 == True, also as keys of the plans."""
    x, w, y = np.ones((1, 2, 6, 6)), np.ones((2, 2, 3, 3)), np.ones((2, 18, 16))
    calls = [
        lambda value: kernels.conv2d(x, w, **{option: value}),
        lambda value: kernels.conv2d_backward(x[..., 2:, 2:], x, w, **{option: value}),
        lambda value: kernels.conv_transpose2d(x, w, **{option: value}),
        lambda value: kernels.conv1d(x[:, :, 0], w[:, :, 0], **{option: value[0] if type(value) is tuple else 1.0}),
        lambda value: kernels.conv3d(x[:, :, None], w[:, :, None], **{option: (*value, value[1])}),
        lambda value: kernels.unfold(x, 3, **{option: value}),
        lambda value: kernels.fold(y, (6, 6), 3, **{option: value}),
    ]
    for call in calls:
        with contextlib.suppress(ValueError):  # shapes that do not fit this option
            call((1, 1))
        with pytest.raises(TypeError, match=f"{option} must be an integer"):
            call(bad)
