"""Which algorithm convolves a layer of images, and why; the plan of a layer by that algorithm."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...ground.notes import note
from ...ground.settings import PRECISION, SETTINGS
from . import depthwise, direct, im2col, pointwise, winograd, winograd_signals
from .layer import Layer

WORTH = 0.85  # of the direct algorithm's time; above, Winograd's rounding is not worth it
WINOGRAD = winograd.FORMS


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One way to convolve.

    refusal(layer) says why it cannot, or "". plan(layer, x, y, floor, kept, masked) takes ghosts and returns a
    `Planned`. kept: whether filters are packed once for many convolutions. masks: whether it can be masked.
    """

    name: str
    refusal: Callable[[Layer], str]
    plan: Callable[..., Any]
    masks: bool = False


class Images(NamedTuple):
    """The plan of a layer: packed = pack(weight), then compute(x, packed, bias, y, mask); see `layer.Planned`."""

    pack: Callable[..., Any]
    compute: Callable[..., None]


class Filters(NamedTuple):
    """A view of a weight as filters (G, OC/G, C/G, KH, KW); with equal fields it is the same view."""

    shape: tuple[int, ...]

    def __call__(self, weight: ndarray) -> ndarray:
        """Return the filters."""
        return weight.reshape(self.shape)


def plan_images(x, y, window, groups, filters, *, prepared, kept=False, algorithm="auto", masked=False, floor=-np.inf):
    """Return the `Images` that convolve x into y, not below the floor; None if they cannot be masked but ought to be.

    x, y: ghosts. filters(weight): `Filters` or the like. prepared: whether the weight is a
    `Prepared`. kept: whether filters are packed once for several computations, all the same.
    """
    layer = Layer(window, y.shape, groups, y.shape[1] // groups, x.shape[1] // groups, x.dtype)
    way, reason = select(layer, algorithm, prepared or kept)
    note(f"{way.name}: {reason}")
    if y.size == 0:
        return Images(lambda weight: None, lambda *_: None)
    if masked and not way.masks:
        return None
    pack, compute, key = way.plan(layer, x, y, floor, prepared or kept, masked)
    if not prepared:
        return Images(lambda weight: pack(filters(weight)), compute)
    name = way.name, key, groups, filters
    return Images(lambda weight: weight.get(name, lambda source: _own(pack(filters(source)), source)), compute)


def _own(packed, source):
    """Return packed filters to keep: a view of the weight, or a copy, so that the pool gets its buffer back."""
    return packed if np.may_share_memory(packed, source) else packed.copy()


def may_round(dtype):
    """Return whether Winograd's transforms may be used; see `set_conv_precision`."""
    return SETTINGS[PRECISION] == 0 and dtype == np.float32


def select(layer, algorithm, kept):
    """Return the algorithm for a layer and the reason. Raises ValueError if the one named cannot do it."""
    if algorithm != "auto" and (refusal := BY_NAME[algorithm].refusal(layer)):
        raise ValueError(f"conv2d: algorithm {algorithm!r} {refusal}")
    if algorithm not in ("auto", "winograd", "folded"):
        return BY_NAME[algorithm], "asked for"
    if layer.channels == 1 < layer.groups:
        return DEPTHWISE, "one channel per group: nothing is summed over channels"
    if not pointwise.refusal(layer):
        return POINTWISE, "1x1: a product of matrices"
    high = SETTINGS[PRECISION] != 0
    rounds = not high and not winograd.refusal(layer)
    if algorithm == "auto" and not rounds and im2col.suits(layer, kept):
        return IM2COL, "few pixels: packing the filters would take as long as the sums"
    if not winograd_signals.refusal(layer):
        module, forms, kind = winograd_signals, winograd_signals.FORMS, " over a signal in three columns"
    elif refusal := winograd.refusal(layer):
        return DIRECT, f"winograd {refusal}"
    else:
        module, forms, kind = winograd, [form for form in WINOGRAD if winograd.fits(layer, form)], ""
    form = min(forms, key=lambda form: module.cost(layer, form, kept))
    name = "folded" if module is winograd_signals else "winograd"
    way = Algorithm(name, module.refusal, partial(module.plan, form), masks=module is winograd)
    if algorithm != "auto":
        return way, "asked for"
    if high:
        return DIRECT, "set_conv_precision('high')"
    ratio = module.cost(layer, form, kept) / max(1, module.cost(layer, None, kept))
    if ratio > WORTH:
        return DIRECT, f"winograd would take {ratio:.2f} times as long, and rounds"
    return way, f"{form}{kind} takes about {ratio:.2f} times as long as the direct algorithm"


DIRECT = Algorithm("direct", lambda layer: "", direct.plan, masks=True)
POINTWISE = Algorithm("pointwise", pointwise.refusal, pointwise.plan)
DEPTHWISE = Algorithm("depthwise", depthwise.refusal, depthwise.plan)
IM2COL = Algorithm("im2col", im2col.refusal, im2col.plan)
BY_NAME = {
    "depthwise": DEPTHWISE,
    "direct": DIRECT,
    "folded": Algorithm("folded", winograd_signals.refusal, winograd_signals.plan),
    "im2col": IM2COL,
    "pointwise": POINTWISE,
    "winograd": Algorithm("winograd", winograd.refusal, winograd.plan),
}
