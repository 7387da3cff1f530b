"""Moving averages of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn_kernels import OPTIMIZER_RULES

from .optimizer import Optimizer, number_of


class EMA:
    """An exponential moving average of all parameters of an optimizer: average = decay * average + (1 - decay) * p.

    The average of a noisy path lies nearer the bottom than its end (Polyak & Juditsky, 1992). One kernel call per
    group and dtype, over the optimizer's flat memory.

        ema = EMA(optimizer, decay=0.999)
        ...                          # after every optimizer.step():
        ema.update()
        with ema.applied():          # the model computes with the averages here
            evaluate(model, test)

    decay: 0 up to below 1. warmup: the first averages forget faster, with decay (1 + n) / (10 + n) at update n, so that
    they do not hang on the starting point.

    Raises TypeError unless it is given an optimizer, ValueError for other decays. Buffers (running means) are left
    alone.
    """

    def __init__(self, optimizer: Optimizer, decay: float = 0.999, warmup: bool = False) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"EMA: expected an Optimizer, got {type(optimizer).__name__}")
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay must be in 0 <= decay < 1, got {decay}")
        self.optimizer, self.decay, self.warmup = optimizer, decay, warmup
        self.updates = 0
        self._inside = False
        self._flats = optimizer.flats()
        self._averages = [flat.values.copy() for flat in self._flats]

    def update(self) -> None:
        """Take in the parameters as they are now. Raises RuntimeError inside `applied`."""
        if self._inside:
            raise RuntimeError("EMA: update inside applied(): the parameters are the averages here")
        n = self.updates
        decay = min(self.decay, (1 + n) / (10 + n)) if self.warmup else self.decay
        for flat, average in zip(self._flats, self._averages, strict=True):
            flat.adopt()
            OPTIMIZER_RULES["average"].update((average, flat.values), 1, {"lr": 1.0, "decay": decay})
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the parameters be the averages inside a `with` block, and what they were before after it."""
        if self._inside:
            raise RuntimeError("EMA: applied() inside applied()")
        self._exchange()
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            self._exchange()

    def _exchange(self) -> None:
        for flat, average in zip(self._flats, self._averages, strict=True):
            flat.adopt()
            flat.values[...], average[...] = average.copy(), flat.values.copy()
            flat.touch()

    def state_dict(self) -> dict[str, Any]:
        """Give the averages (copies), numbered as the optimizer numbers parameters."""
        averages = {i: self._part(flat, k).copy() for i, flat, k in self.optimizer.places()}
        return {"updates": self.updates, "averages": {i: averages[i] for i in sorted(averages)}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave. Raises ValueError, with nothing changed, if shapes do not fit."""
        places = list(self.optimizer.places())
        if not isinstance(state_dict, Mapping) or not isinstance(state_dict.get("averages"), Mapping):
            raise ValueError("EMA: load_state_dict: expected a dictionary with 'updates' and 'averages'")
        averages = {i: np.asarray(x) for i, x in state_dict["averages"].items()}
        shapes = {i: flat.parameters[k].shape for i, flat, k in places}
        numbers = all(x.dtype.kind in "fiu" for x in averages.values())
        if not numbers or {i: x.shape for i, x in averages.items()} != shapes:
            raise ValueError("EMA: load_state_dict: these averages belong to other parameters")
        updates = number_of(state_dict.get("updates"))
        if not (0 <= updates < 1 << 53 and updates == int(updates)):
            raise ValueError(f"EMA: load_state_dict: updates must be a count, got {state_dict.get('updates')!r:.60}")
        for i, flat, k in places:
            self._part(flat, k)[...] = averages[i]
        self.updates = int(updates)

    def _part(self, flat: Any, k: int) -> np.ndarray:
        start, stop = flat.ranges[k]
        return self._averages[self._flats.index(flat)][start:stop].reshape(flat.parameters[k].shape)
