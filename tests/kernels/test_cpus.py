"""Kernel tests compiled for other CPUs: vectors of 512, 256 and 128 bits, with and without SSE4.1.

The suite runs, for each vector width other than this machine's, the tests that depend on the width. They are started
before all other tests, at low priority, and their results are read after them (see conftest.py). All kernel tests on
every CPU: `make cpus`, or `python -m tests.kernels.test_cpus [CPU ...] [-- pytest arguments]`.
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from fastnn_kernels.cpu.vector.simd import vector_bytes

ROOT = Path(__file__).parents[2]
AVX2 = "+avx,+avx2,+fma"
AVX512 = f"{AVX2},+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd"
CPUS = {  # LLVM's name: (vector bytes, what this machine must have, features that decide in _simd.py)
    "znver4": (64, ("avx512vl", "avx512vbmi2", "avx512bf16", "gfni"), AVX512),
    "skylake-avx512": (64, ("avx512vl",), AVX512),
    "haswell": (32, ("avx2", "fma"), AVX2),
    "nehalem": (16, ("sse4.2",), "+sse4.2"),
    "x86-64": (16, (), ""),
}
LEGS = ("skylake-avx512", "haswell", "x86-64")  # one of each width
# Kernels that work in vectors of the CPU's width: all tiles, and of what is elementwise one of each form.
NAMES = (
    "matmul linear peak conv pad fold pool interpolate shuffle gelu softmax norm cross_entropy mse_loss optimizer_step "
    "warp dropout- add- prelu tanh- exp-"
)
FILES = ["test_contract.py", "test_matmul.py", "test_conv.py", "test_conv_nd.py", "test_pool.py", "test_norm.py"]
SELECTED = (
    f"not another_cpu and not test_empty and (not float64 or blocks) "
    f"and (not test_contract.py or {' or '.join(NAMES.split())})"
)


def environment(cpu):
    """Return the environment in which Numba compiles for a CPU."""
    width, _, features = CPUS[cpu]
    return os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features, "FASTNN_WIDTH": str(width)}


def lacks(cpu):
    """Return the features that this machine lacks for running a CPU's code, or what else is in the way."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return [f"x86 (this is {platform.machine()})"]
    return [name for name in CPUS[cpu][1] if not llvm.get_host_cpu_features().get(name)]


class Legs:
    """Processes that run tests as other CPUs do, beside the suite: each writes a report, and its exit status last."""

    def __init__(self, folder):
        self.folder, self.processes = Path(folder), []

    def start(self):
        """Start one for every width that this machine has and does not use anyway."""
        for cpu in LEGS:
            if not lacks(cpu) and CPUS[cpu][0] != vector_bytes():
                words = [sys.executable, "-m", "tests.kernels.test_cpus", "--leg", str(self.folder), cpu]
                self.processes.append(subprocess.Popen(words, cwd=ROOT, env=environment(cpu), start_new_session=True))

    def stop(self):
        """Stop those that still run, with the tests they have started."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, 15)
            process.wait()


def run_leg(folder, cpu):
    """Run the selected tests at low priority; write what they print and how they end."""
    if hasattr(os, "nice"):
        os.nice(10)
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", SELECTED, __file__]
    words += [str(ROOT / "tests" / "kernels" / file) for file in FILES]
    with open(Path(folder, f"{cpu}.txt"), "w") as report:
        status = subprocess.run(words, stdout=report, stderr=subprocess.STDOUT, cwd=ROOT).returncode
    Path(folder, f"{cpu}.tmp").write_text(str(status))
    Path(folder, f"{cpu}.tmp").rename(Path(folder, f"{cpu}.status"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cpu", LEGS)
def test_kernels_on_another_cpu(cpu):
    if missing := lacks(cpu):
        pytest.skip(f"this CPU cannot run the code: it lacks {', '.join(missing)}")
    if CPUS[cpu][0] == vector_bytes():
        pytest.skip("these vectors are this CPU's own, and all other tests use them")
    folder = Path(os.environ["FASTNN_LEGS"])
    while not (folder / f"{cpu}.status").exists():
        time.sleep(0.1)
    assert (folder / f"{cpu}.status").read_text() == "0", (folder / f"{cpu}.txt").read_text()[-4000:]


@pytest.mark.skipif("FASTNN_WIDTH" not in os.environ, reason="for the runs that the test above starts")
def test_the_vectors_have_this_width():
    assert vector_bytes() == int(os.environ["FASTNN_WIDTH"])


def main(arguments):
    """Run all kernel tests on every CPU, or on those that are named; 1 if any failed."""
    if arguments[:1] == ["--leg"]:
        return run_leg(*arguments[1:])
    split = arguments.index("--") if "--" in arguments else len(arguments)
    if unknown := sorted({*arguments[:split]} - {*CPUS}):
        print(f"unknown CPU: {', '.join(unknown)}; there are {', '.join(CPUS)}")
        return 2
    failed = []
    for cpu in arguments[:split] or CPUS:
        if missing := lacks(cpu):
            print(f"== {cpu}: skipped, this machine lacks {', '.join(missing)}", flush=True)
            continue
        print(f"== {cpu}", flush=True)
        words = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
        words += ["-k", "not another_cpu", *(arguments[split + 1 :] or ["tests/kernels"])]
        if subprocess.run(words, env=environment(cpu), cwd=ROOT).returncode:
            failed.append(cpu)
    print(f"failed on {', '.join(failed)}" if failed else "green on all of them")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
