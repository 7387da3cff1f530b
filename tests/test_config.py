"""show_config says what fastnn computes with."""

import io
import os
import subprocess
import sys

import llvmlite
import numba
import numpy as np

import fastnn


def test_show_config():
    file = io.StringIO()
    fastnn.show_config(file)
    lines = dict(line.split(":", 1) for line in file.getvalue().splitlines())
    for name in ("CPU", "vectors", "threads", "threading layer", "kernel cache", "output pool"):
        assert lines[name].strip(), name
    assert fastnn.__version__ in lines["fastnn"]
    for module in (np, numba, llvmlite):
        assert f"{module.__name__} {module.__version__}" in lines["versions"]
    assert lines["threading layer"].strip() in ("omp", "tbb", "workqueue")


def test_it_follows_the_environment(tmp_path):
    settings = {
        "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2", "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_NUM_THREADS": "3", "NUMBA_THREADING_LAYER": "workqueue",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "import fastnn; fastnn.show_config()"],
        env=os.environ | settings, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for expected in ("128 bits: 4 float32", "3 of ", "workqueue", str(tmp_path)):
        assert expected in done.stdout


USE = """
import numpy as np, fastnn
from fastnn import functional, nn
x = np.ones((4, 3), np.float32)
print(nn.Sequential(nn.Linear(3, 2), nn.GELU())(x).shape, functional.gelu(-x).sum() < 0)
"""


def python(code, *options, **environment):
    return subprocess.run(
        [sys.executable, *options, "-c", code], env=os.environ | environment, capture_output=True, text=True
    )


def test_docstrings_are_not_needed():
    for option in ("-O", "-OO"):
        done = python(USE, "-W", "error", option)
        assert done.stdout.split() == ["(4,", "2)", "True"], done.stderr


def test_without_a_compiler_it_says_what_is_wrong():
    assert python("import fastnn; print(fastnn.get_num_threads() > 0)", NUMBA_DISABLE_JIT="1").stdout.strip() == "True"
    done = python(USE, NUMBA_DISABLE_JIT="1")
    assert "RuntimeError: fastnn: kernels are compiled code and cannot run under NUMBA_DISABLE_JIT=1" in done.stderr
    assert python(USE, NUMBA_DISABLE_JIT="0").stdout.split() == ["(4,", "2)", "True"]
