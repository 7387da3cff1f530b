"""The kernels once more as other CPUs would run them: AVX-512, AVX2, and 128-bit vectors without multiply-add."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from fastnn_kernels._simd import vector_bytes

ROOT = Path(__file__).parents[2]
LEGS = {  # vector bytes: (what this machine must have, LLVM's name of such a CPU, features that decide in _simd.py)
    64: ("avx512vl", "skylake-avx512", "+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd,+avx2,+fma,+avx"),
    32: ("avx2", "haswell", "+avx2,+fma,+avx"),
    16: ("sse4.2", "nehalem", "+sse4.2"),
}
FILES = ["test_contract.py", "test_matmul.py"]


def start(width):
    """Start the tests on a CPU with vectors of `width` bytes; None if this machine cannot, or runs them so anyway."""
    needed, name, features = LEGS[width]
    if not llvm.get_host_cpu_features().get(needed) or width == vector_bytes():
        return None
    environment = os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "FASTNN_WIDTH": str(width)}
    files = [str(ROOT / "tests" / "kernels" / file) for file in FILES]
    selected = "(not float64 or blocks) and not another_cpu"
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", selected, __file__, *files],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def legs():
    """Start all legs at once: they compile everything anew, which takes them a minute each."""
    started = {width: start(width) for width in LEGS}
    yield started
    for process in started.values():
        if process is not None:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these are x86 CPUs")
@pytest.mark.parametrize("width", LEGS)
def test_kernels_on_another_cpu(width, legs):
    process = legs[width]
    if process is None:
        pytest.skip("this CPU lacks these vectors, or they are its own, and all other tests use them")
    output, _ = process.communicate()
    assert process.returncode == 0, output[-4000:]


@pytest.mark.skipif("FASTNN_WIDTH" not in os.environ, reason="for the runs that the test above starts")
def test_the_vectors_have_this_width():
    assert vector_bytes() == int(os.environ["FASTNN_WIDTH"])
