"""Training for long takes no more memory than training for short."""

import numpy as np
import psutil

import fastnn
from fastnn import functional, nn, optim
from fastnn_kernels.ground.memory import SMALL, pool_stats


def test_resident_memory_does_not_grow_over_10_000_steps(rng):
    """Activations are large enough for the pool, and every seventh batch is a smaller one."""
    fastnn.manual_seed(0)
    hidden = 272
    model = nn.Sequential(nn.Linear(20, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, 3))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    x, y = rng.standard_normal((64, 20), np.float32), rng.integers(0, 3, 64)
    assert 61 * hidden * 4 >= SMALL

    def train(steps):
        for step in range(steps):
            n = 61 if step % 7 == 0 else 64
            loss = functional.cross_entropy(model(x[:n]), y[:n])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    train(500)
    before, pooled = psutil.Process().memory_info().rss, pool_stats()
    train(10_000)
    assert psutil.Process().memory_info().rss - before < 2 << 20
    assert pool_stats().buffers <= pooled.buffers + 2
