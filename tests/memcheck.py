"""Kernel tests under valgrind's memcheck: `make memcheck`, or `python -m tests.memcheck [--all] [pytest arguments]`.

Every read and write of compiled code beyond a block of memory fails, with the test that did it. Kernels are compiled
for SSE4.2, since valgrind knows no AVX-512, and beforehand, since under valgrind that would take hours: the tests run
once without it. Results are not judged here (valgrind does not flush denormals, for one); that they are right is what
the suite checks. Without arguments a selection runs that takes a few minutes; --all runs all kernel tests.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
CPU = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse4.2"}
VALGRIND = ["valgrind", "--undef-value-errors=no", "--error-limit=no", "--num-callers=6", "--log-fd=2"]
# one process each: starting one takes 20 s
SHORT = [
    ["tests/kernels/test_conv.py", "-k", "match_the_reference and float32"],
    ["tests/kernels/test_pool.py", "-k", "float32 and reference"],
]
LEFT_OUT = ("test_ground", "test_cpus", "test_memory")  # they start processes or measure memory


def pytest(arguments, *before, **variables):
    """Run tests and return their exit status and what was printed, with valgrind's errors at their places."""
    words = [*before, sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--timeout=0", *arguments]
    environment = {**os.environ, **CPU, "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **variables}
    done = subprocess.run(
        words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    return done.returncode, done.stdout


def invalid(output):
    """Return [(test, error)] of the errors that compiled code made: its functions have no name, and are in no file."""
    found, test, block = [], "before the first test", None
    for line in output.splitlines():
        if match := re.match(r"(tests/\S+::.*?)(?= ==\d+==| PASSED| FAILED| SKIPPED| ERROR|\s*$)", line):
            test = match[1]
        if match := re.search(r"==\d+== (Invalid (?:read|write|free).*)", line):
            block = [match[1]]
        elif block and (match := re.search(r"==\d+==  +(?:at|by) 0x[0-9A-F]+: (.*)", line)):
            block.append(match[1])
        elif block:
            what, frames, where = block[0], block[1:], line.partition("==  ")[2]
            if "???" in frames[:2]:  # the second, where the first is memcpy or memset
                found.append((test, f"{what}; {where.strip()}"))
            block = None
    return found


def check(arguments):
    """Compile what some tests need, run them under valgrind, and return complaints."""
    status, output = pytest(arguments)
    if status not in (0, 1, 5):
        return [f"{' '.join(arguments)} ended with {status} without valgrind:\n{output[-2000:]}"]
    status, output = pytest(arguments, *VALGRIND, PYTHONMALLOC="malloc")
    complaints = [f"{test}\n    {error}" for test, error in dict.fromkeys(invalid(output))]
    if status not in (0, 1, 5):
        complaints.append(f"{' '.join(arguments)} ended with {status}:\n{output[-2000:]}")
    summary = [line.strip("= ") for line in output.splitlines() if re.search(r" (passed|failed|deselected) in ", line)]
    print(f"{' '.join(arguments)}: {summary[-1] if summary else 'nothing ran'}", flush=True)
    return complaints


def main(arguments):
    """Run the tests, several processes at a time; 1 if compiled code read or wrote where it may not."""
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (on Debian and Ubuntu: apt install valgrind)")
        return 0
    parts = [arguments] if arguments else SHORT
    if arguments[:1] == ["--all"]:
        files = sorted((ROOT / "tests" / "kernels").glob("test_*.py"))
        parts = [[str(file.relative_to(ROOT)), *arguments[1:]] for file in files if not file.stem.startswith(LEFT_OUT)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [line for lines in pool.map(check, parts) for line in lines]
    print("\n".join(complaints) or "no invalid read or write in compiled code")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
