"""Numba's bounds checks, which `make bounds` compiles in, see a kernel that writes out of bounds on any thread."""

import os
import subprocess
import sys

import pytest

CODE = """
import numpy as np
from fastnn_kernels.ground.jit import kernel
from fastnn_kernels.ground.threads import threads

@kernel("T[::1]", parallel=True)
def probe__overrun(out, lo, hi):
    for i in range(lo, hi + 1):
        out[i] = 1

out = np.zeros(8, np.float32)
probe__overrun[out.dtype](out, 7, TASKS)
assert out.all()
probe__overrun[out.dtype](out, 8, TASKS)
"""


@pytest.mark.parametrize("tasks", [1, 2, 3])
def test_overruns_are_seen(tasks):
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1"}
    code = CODE.replace("TASKS", str(tasks))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "IndexError: probe__overrun: out of bounds" in done.stderr
