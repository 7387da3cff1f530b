"""Settings all tests share."""

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


@pytest.fixture
def rng():
    """Return a generator that gives the same numbers in every run."""
    return np.random.default_rng(20260)
