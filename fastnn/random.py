"""The one source of randomness: initialisers, shuffling and dropout all draw from what `manual_seed` sets.

Two streams hang on the seed. `generator()` is NumPy's generator, for everything that is drawn on the Python side.
`next_philox()` numbers the calls of counter-based kernels (dropout): such a kernel computes its random bits from
(seed, call number, element index), which makes them the same for any number of threads and lets the backward pass
compute them again instead of storing them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from fastnn._device import CPU, check_device, device

_lock = threading.Lock()
_seed: int
_philox_calls: int
_generator: np.random.Generator


def _checked(seed: Any) -> int:
    if not 0 <= seed < 2**64:
        raise ValueError(f"manual_seed: seed must be in 0 .. 2**64 - 1, got {seed}")
    return int(seed)


def manual_seed(seed: int) -> Generator:
    """Start every random stream of the library anew from `seed`, any integer of 0 to 2**64 - 1.

    Gives the generator that all draw from where no other is named.
    """
    global _seed, _philox_calls, _generator
    seed = _checked(seed)
    with _lock:
        _seed = seed
        _philox_calls = 0
        _generator = np.random.default_rng(_seed)
    return default_generator


def _drawn_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])


def seed() -> int:
    """Start every random stream anew from a seed that the system draws, and give the seed."""
    drawn = _drawn_seed()
    manual_seed(drawn)
    return drawn


def initial_seed() -> int:
    """Give the seed that the streams started from."""
    return _seed


class Generator:
    """A stream of random numbers of its own, for functions that take `generator`.

    Generator() starts from a seed that the system draws; `manual_seed(seed)` starts it anew and gives it back.
    """

    def __init__(self, device: Any = "cpu") -> None:
        check_device("Generator", device)
        self.seed()

    def __repr__(self) -> str:
        return f"Generator(seed={self.initial_seed()})"

    @property
    def device(self) -> device:
        """Where it draws: on the CPU."""
        return CPU

    @property
    def numpy(self) -> np.random.Generator:
        """NumPy's generator, which draws."""
        return self._numpy

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from a seed, and give the generator."""
        self._seed = _checked(seed)
        self._numpy = np.random.default_rng(self._seed)
        return self

    def seed(self) -> int:
        """Start anew from a seed that the system draws, and give the seed."""
        self.manual_seed(_drawn_seed())
        return self._seed

    def initial_seed(self) -> int:
        """Give the seed that it started from."""
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """Give the state, for `set_state`."""
        return {"seed": self._seed, "generator": self._numpy.bit_generator.state}

    def set_state(self, new_state: dict[str, Any]) -> Generator:
        """Continue from where `get_state` found a generator. Raises ValueError for anything else."""
        fresh = np.random.default_rng(0)
        try:
            fresh.bit_generator.state = new_state["generator"]
            self._seed, self._numpy = _checked(new_state["seed"]), fresh
        except (TypeError, LookupError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"set_state: this is not a state of a generator: {error!r}") from error
        return self


class _Default(Generator):
    """The generator of all who name none: its state is that of the whole library."""

    def __init__(self) -> None:
        pass

    @property
    def numpy(self) -> np.random.Generator:
        return _generator

    def manual_seed(self, seed: int) -> Generator:
        return manual_seed(seed)

    def seed(self) -> int:
        return seed()

    def initial_seed(self) -> int:
        return _seed

    def get_state(self) -> dict[str, Any]:
        return get_state()

    def set_state(self, new_state: dict[str, Any]) -> Generator:
        set_state(new_state)
        return self


default_generator: Generator = _Default()


def numpy_generator(generator: Any = None) -> np.random.Generator:
    """Give NumPy's generator that draws for a `Generator`, for NumPy's own, or for None: the library's."""
    if generator is None:
        return _generator
    if isinstance(generator, Generator):
        return generator.numpy
    if isinstance(generator, np.random.Generator):
        return generator
    raise TypeError(f"generator must be a fastnn.Generator, got {type(generator).__name__}")


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


def fork_rng(devices: Any = None, enabled: bool = True) -> Any:
    """Leave all streams, at the end of a ``with`` block, as they were at its beginning."""
    return _kept() if enabled else nullcontext()


@contextmanager
def _kept() -> Iterator[None]:
    state = get_state()
    try:
        yield
    finally:
        set_state(state)


get_rng_state, set_rng_state = get_state, set_state
seed()
