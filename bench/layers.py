"""The layers of real networks, from the tables in `bench/shapes/`: one file per network, which names its paper.

A table says what changes from layer to layer: `input` without its batch, `kernel` (square), and for convolutions
`filters`; `stride`, `dilation` and `groups` are 1 unless given, `padding` is what keeps the size (with stride 1), and
`batches` are [1, 32]. Every layer is measured forwards at each of its batches and backwards at the largest; `measure`
lists what belongs to the short selection, as in "forward 1".
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "shapes"


@dataclass(frozen=True)
class Layer:
    """A layer of a network with its batch: what a library has to be told to compute it."""

    network: str
    x: tuple[int, ...]
    kernel: tuple[int, ...]
    filters: int = 0
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    transposed: bool = False
    kind: str = ""  # of pooling: max or avg

    @property
    def rank(self) -> int:
        """How many dimensions images have: 1, 2 or 3."""
        return len(self.kernel)

    @property
    def w(self) -> tuple[int, ...]:
        """The weight's shape, as PyTorch has it."""
        first, second = (self.x[1], self.filters) if self.transposed else (self.filters, self.x[1])
        return (first, second // self.groups, *self.kernel)

    @property
    def y(self) -> tuple[int, ...]:
        """The output's shape."""
        size = []
        for n, k in zip(self.x[2:], self.kernel, strict=True):
            reach = self.dilation * (k - 1) + 1
            if self.transposed:
                size.append((n - 1) * self.stride - 2 * self.padding + reach)
            else:
                size.append((n + 2 * self.padding - reach) // self.stride + 1)
        return (self.x[0], self.filters or self.x[1], *size)

    @property
    def flop(self) -> float:
        """The operations of a direct convolution; its two gradients take as many."""
        places = self.x if self.transposed else self.y
        return 2.0 * prod(self.w) * prod(places[2:]) * self.x[0]

    def __str__(self) -> str:
        window = "x".join(map(str, self.kernel)) if len(set(self.kernel)) > 1 or self.rank < 3 else "3x3x3"
        channels = f"{self.x[1]}-{self.filters}" if self.filters and self.groups == 1 else f"{self.x[1]}"
        more = f" /{self.stride}" * (self.stride > 1) + f" dilated {self.dilation}" * (self.dilation > 1)
        size = "x".join(map(str, self.x[2:])) if len(set(self.x[2:])) > 1 else str(self.x[2])
        return f"{self.network} {window}{more} {channels} @{size}, batch {self.x[0]}"


def table(operation: str, backwards: tuple[str, ...]) -> Iterator[tuple[Layer, str, bool]]:
    """Yield (layer, direction, whether it belongs to the short selection) for the operation's rows in all tables."""
    for path in sorted(FOLDER.glob("*.toml")):
        network = tomllib.loads(path.read_text(encoding="utf-8"))
        for row in network.get(operation, ()):
            yield from _measurements(network["network"], dict(row), backwards)


def _measurements(network, row, backwards):
    channels, *size = row.pop("input")
    batches, measure = row.pop("batches", [1, 32]), row.pop("measure", [])
    kernel = (row.pop("kernel"),) * len(size)
    if "kind" not in row:
        row.setdefault("padding", row.get("dilation", 1) * (kernel[0] - 1) // 2)
    else:
        row.setdefault("stride", kernel[0])
    wanted = [("forward", batch) for batch in batches] + [(direction, batches[-1]) for direction in backwards]
    known = {f"{direction} {batch}" for direction, batch in wanted}
    extra = [text for text in measure if text not in known]  # gradients of a single image, say
    if any(text.split()[0] not in ("forward", *backwards) for text in extra):
        raise ValueError(f"{network}: no such measurement: {extra}")
    wanted += [(text.split()[0], int(text.split()[1])) for text in extra]
    for direction, batch in wanted:
        layer = Layer(network, (batch, channels, *size), kernel, **row)
        yield layer, direction, f"{direction} {batch}" in measure


def centred(rng, shape):
    """Return random numbers around zero, uniform because those are made five times faster than normal ones."""
    x = rng.random(shape, np.float32)
    x -= 0.5
    return x


def pixels(x):
    """Copy images channels-last, under the same shape."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def spots(result) -> np.ndarray:
    """Return some thousand values of a result, always at the same places: what workers hand in to be checked."""
    return result.ravel()[np.random.default_rng(1).integers(0, result.size, 4096)]


def wrong(summaries: dict, expected: np.ndarray, allowed: float) -> dict[str, str]:
    """Complain about every implementation whose spots are off by more than a share of the largest value, or missing."""
    largest, complaints = np.abs(expected).max(), {}
    for name, values in summaries.items():
        error = np.abs(np.array(values) - expected).max() / largest if values else np.inf
        if not error <= allowed:
            complaints[name] = f"wrong: error {error:.2g} > {allowed:.2g}"
    return complaints
