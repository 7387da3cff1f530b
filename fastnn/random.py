"""The one source of randomness: initialisers, shuffling and dropout all draw from what `manual_seed` sets.

Two streams hang on the seed. `generator()` is NumPy's generator, for everything that is drawn on the Python side.
`next_philox()` numbers the calls of counter-based kernels (dropout): such a kernel computes its random bits from
(seed, call number, element index), which makes them the same for any number of threads and lets the backward pass
compute them again instead of storing them.
"""

import threading
from typing import Any

import numpy as np

_lock = threading.Lock()
_seed: int
_philox_calls: int
_generator: np.random.Generator


def manual_seed(seed: int) -> None:
    """Start every random stream of the library anew from `seed`, any integer of 0 to 2**64 - 1."""
    global _seed, _philox_calls, _generator
    if not 0 <= seed < 2**64:
        raise ValueError(f"manual_seed: seed must be in 0 .. 2**64 - 1, got {seed}")
    with _lock:
        _seed = int(seed)
        _philox_calls = 0
        _generator = np.random.default_rng(_seed)


def generator() -> np.random.Generator:
    """Give the library's NumPy generator: weights, permutations and augmentations are drawn from it."""
    return _generator


def next_philox() -> tuple[int, int]:
    """Give (seed, offset) for one call of a counter-based kernel; no two calls after a seed get the same offset."""
    global _philox_calls
    with _lock:
        offset = _philox_calls
        _philox_calls += 1
        return _seed, offset


def get_state() -> dict[str, Any]:
    """Give the state of all streams as a dictionary of strings and integers, fit for JSON and so for a checkpoint."""
    with _lock:
        return {"seed": _seed, "philox_calls": _philox_calls, "generator": _generator.bit_generator.state}


def set_state(state: dict[str, Any]) -> None:
    """Continue all streams from where `get_state` found them.

    Raises ValueError, with nothing changed, for anything else.
    """
    global _seed, _philox_calls, _generator
    fresh = np.random.default_rng(0)
    try:
        fresh.bit_generator.state = state["generator"]
        seed, calls = state["seed"], state["philox_calls"]
    except (TypeError, LookupError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"set_state: this is not a state of the random streams: {error!r}") from error
    for number in (seed, calls):
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**64:
            raise ValueError(f"set_state: seed and philox_calls must be in 0 .. 2**64 - 1, got {seed!r}, {calls!r}")
    with _lock:
        _seed, _philox_calls, _generator = seed, calls, fresh


manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
