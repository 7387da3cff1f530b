"""Whatever training computes, kernels compute: steps on arrays that refuse NumPy's arithmetic."""

import numpy as np
import pytest

import fastnn
import fastnn_kernels as kernels
from fastnn import functional as F
from fastnn import nn, optim
from fastnn_kernels.ground.memory import allocator

RNG = np.random.default_rng(5)


class Refusing(np.ndarray):
    """An array on which no ufunc runs: no sum, no comparison, no reduction."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        raise AssertionError(f"numpy.{ufunc.__name__} computes on an array of shape {self.shape}")


def refusing(shape, dtype):
    return np.empty(shape, dtype).view(Refusing)


def mlp():
    return nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(8, 5),
    )  # fmt: skip


def normalised():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.SiLU(), nn.GroupNorm(2, 4), nn.Flatten(),
        nn.Linear(64, 16),
        nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 5),
    )  # fmt: skip


CASES = {
    "mlp": (mlp, (8, 12), lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1)),
    "cnn": (cnn, (8, 1, 8, 8), lambda p: optim.SGD(p, lr=0.01, momentum=0.9)),
    "rows and columns": (mlp, (8, 12), lambda p: optim.Adafactor(p, lr=0.01, weight_decay=0.1)),
    "matrices": (mlp, (8, 12), lambda p: optim.Muon([x for x in p if x.ndim == 2], lr=0.01)),
    "signs": (mlp, (8, 12), lambda p: optim.Rprop(p)),
    "normalised": (normalised, (8, 1, 6, 6), lambda p: optim.AdamW(p, lr=0.01)),
}


@pytest.mark.parametrize("name", CASES)
def test_training_steps(name):
    make, shape, optimizer_of = CASES[name]
    fastnn.manual_seed(1)
    x, labels = RNG.standard_normal(shape).astype(np.float32), RNG.integers(0, 5, shape[0])
    losses = []
    for refuse in (False, True):
        fastnn.manual_seed(1)
        model = make()
        optimizer = optimizer_of(model.parameters())
        seen = []
        for _ in range(3):
            with allocator(refusing) if refuse else allocator(np.empty):
                loss = F.cross_entropy(model(x.view(Refusing) if refuse else x), labels)
                optimizer.zero_grad()
                loss.backward()
                optim.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            seen.append(loss.numpy().tobytes())
        losses.append(seen)
    assert losses[0] == losses[1]


def elementwise(a, b):
    """Compute a number of all functions of elements, and of reductions with gradients of their own."""
    a, b = F.sqrt(F.add(F.square(a), 1.0)), F.abs(b)
    y = F.pow(a, b) + F.pow(a, 1.5) + a**2 + a**3 - F.neg(b) * F.sin(a) / F.exp(b)
    y = F.clamp(y, -2.0, 2.0) + F.clamp(y, a, b) + F.maximum(y, b) * F.minimum(a, 0.5)
    y = F.where(b.detach(), y, F.log1p(b)) if hasattr(b, "detach") else y
    return F.sum(y) + F.prod(y) + F.max(y) - F.min(y) + F.mean(F.tanh(y))


def test_functions_of_elements():
    values = RNG.uniform(0.5, 1, (2, 3, 4)).astype(np.float32)
    seen = []
    for refuse in (False, True):
        with allocator(refusing) if refuse else allocator(np.empty):
            a, b = (fastnn.Tensor(x.view(Refusing) if refuse else x, requires_grad=True) for x in values)
            loss = elementwise(a, b)
            loss.backward()
        seen.append([np.asarray(x).tobytes() for x in (loss, a.grad, b.grad)])
    assert seen[0] == seen[1]


def test_the_arrays_do_refuse():
    with allocator(refusing):
        results = [kernels.relu(np.ones(3, np.float32)), kernels.matmul(*[np.ones((99, 99))] * 2)]
    for y in results:
        with pytest.raises(AssertionError, match="numpy.add computes"):
            y + 1
