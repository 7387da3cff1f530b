"""Check environment variables that would make the import of Numba raise, before anything imports it."""

import os
import warnings


def positive_integer(text: str) -> int | None:
    """Parse an environment variable as a number of threads; None if it is not a positive integer."""
    try:
        return max(int(text), 0) or None
    except ValueError:
        return None


def wanted_threads() -> int | None:
    """Return how many threads NUMBA_NUM_THREADS or OMP_NUM_THREADS ask for; None if neither says so.

    OMP_NUM_THREADS may be a list, one number for each level of nesting: the first counts.
    """
    numba = positive_integer(os.environ.get("NUMBA_NUM_THREADS", ""))
    return numba or positive_integer(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0])


def _warn() -> None:
    """Warn of invalid numbers of threads, and remove NUMBA_NUM_THREADS if it is one: Numba's import would raise."""
    for name, whole in (("NUMBA_NUM_THREADS", True), ("OMP_NUM_THREADS", False)):
        text = os.environ.get(name, "")
        if text and positive_integer(text if whole else text.partition(",")[0]) is None:
            warnings.warn(f"fastnn: {name}={text!r} is not a positive integer and is ignored", stacklevel=2)
    if positive_integer(os.environ.get("NUMBA_NUM_THREADS", "1")) is None:
        del os.environ["NUMBA_NUM_THREADS"]


_warn()
