"""Points in the plane that a straight line cannot divide: what hidden layers are shown with."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._checks import numbers, real, whole

Array = np.ndarray[Any, Any]


def make_moons(n: int = 200, *, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """Draw two half circles that reach into each other (the shapes of scikit-learn's function).

    n points, half of each class, in random order -> x float32 (n, 2), y int64 (n,). Every coordinate gets normal noise
    of that standard deviation; the seed decides about all that is random.
    """
    rng, counts = _begin("make_moons", n, 2, noise, seed)
    outer, inner = (np.linspace(0, np.pi, count) for count in counts)
    upper = np.stack([np.cos(outer), np.sin(outer)], 1)
    lower = np.stack([1 - np.cos(inner), 0.5 - np.sin(inner)], 1)
    return _mixed(rng, [upper, lower], noise)


def make_circles(n: int = 200, *, noise: float = 0.1, factor: float = 0.5, seed: int = 0) -> tuple[Array, Array]:
    """Draw a circle of radius 1 around one of radius `factor`, which is class 1; the rest as for `make_moons`."""
    rng, counts = _begin("make_circles", n, 2, noise, seed)
    if not 0 <= real("make_circles", "factor", factor) < 1:
        raise ValueError(f"make_circles: factor must be from 0 to below 1, got {factor}")
    outer, inner = (2 * np.pi * np.arange(count) / count for count in counts)
    rings = [np.stack([np.cos(outer), np.sin(outer)], 1), factor * np.stack([np.cos(inner), np.sin(inner)], 1)]
    return _mixed(rng, rings, noise)


def make_spirals(
    n: int = 300, *, classes: int = 2, turns: float = 1.0, noise: float = 0.03, seed: int = 0
) -> tuple[Array, Array]:
    """Draw one arm per class, winding `turns` times around the centre out to radius 1; the rest as for `make_moons`."""
    rng, counts = _begin("make_spirals", n, classes, noise, seed)
    real("make_spirals", "turns", turns)
    arms = []
    for number, count in enumerate(counts):
        radius = np.sqrt(np.linspace(0.005, 1, count))  # evenly many points on every stretch of the arm
        angle = 2 * np.pi * (turns * radius + number / classes)
        arms.append(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1))
    return _mixed(rng, arms, noise)


def make_blobs(
    n: int = 300, *, centers: int | Any = 3, deviation: float = 1.0, features: int = 2, seed: int = 0
) -> tuple[Array, Array]:
    """Draw normally distributed clouds around `centers`: that many random ones in -10 .. 10, or (classes, features)."""
    if not isinstance(centers, (int, np.integer)):
        centers = numbers("make_blobs", "centers", centers)
    whole("make_blobs", "features", features, 1, 1 << 31)
    count = centers if isinstance(centers, (int, np.integer)) else len(np.atleast_1d(centers))
    rng, counts = _begin("make_blobs", n, int(count), deviation, seed)
    places = rng.uniform(-10, 10, (int(count), features)) if np.ndim(centers) == 0 else np.asarray(centers, float)
    if places.ndim != 2:
        raise ValueError(f"make_blobs: centers must be a number or (classes, features), got shape {places.shape}")
    return _mixed(rng, [np.repeat(place[None], m, 0) for place, m in zip(places, counts, strict=True)], deviation)


def _begin(where: str, n: int, classes: int, noise: float, seed: int) -> tuple[np.random.Generator, list[int]]:
    """Give the generator and the number of points of each class."""
    whole(where, "n", n, 0, 1 << 40)
    whole(where, "classes", classes)
    whole(where, "seed", seed)
    real(where, "noise", noise)
    if not 1 <= classes <= n:
        raise ValueError(f"{where}: {n} points cannot be of {classes} classes")
    if not 0 <= noise < np.inf:
        raise ValueError(f"{where}: noise must be a number from 0, got {noise}")
    return np.random.default_rng(seed), [len(part) for part in np.array_split(np.arange(n), classes)]


def _mixed(rng: np.random.Generator, parts: list[Array], noise: float) -> tuple[Array, Array]:
    x = np.concatenate(parts)
    x = x + noise * rng.standard_normal(x.shape)
    y = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = rng.permutation(len(x))
    return x[order].astype(np.float32), y[order]
