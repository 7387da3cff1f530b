"""Settings all tests share, and how they are dealt out to several processes (`make test` starts one per core)."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# A kernel compiles at its first call, which may take seconds: no deadline. Derandomized: a failure can be repeated.
settings.register_profile(
    "fastnn", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fastnn"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One process per core that this one may use (affinity, control group, NUMBA_NUM_THREADS), up to eight."""
    from fastnn_kernels._parallel import default_num_threads

    return min(default_num_threads(), 8)


def pytest_configure(config):
    """Let the processes share the cores: tests that are about threads set their number themselves."""
    processes = len(config.getoption("tx", None) or ())
    if processes:
        from fastnn_kernels._parallel import default_num_threads

        share = str(max(1, default_num_threads() // processes))
        for library in ("NUMBA", "OPENBLAS"):  # the processes inherit this
            os.environ.setdefault(f"{library}_NUM_THREADS", share)


@pytest.fixture
def rng():
    """Return a generator that gives the same numbers in every run."""
    return np.random.default_rng(20260)
