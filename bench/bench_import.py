"""Starting: a Python process that imports the library and ends.

For fastnn most of it is Numba's own import. What fastnn adds is bounded by `tests/test_architecture.py`, which counts
calls and modules instead of seconds.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("torch", "jax")
CASES = [Case("import", "start", "python -c import", {}, bars={"torch": 1.0})]


def verify(case, summaries):
    """Complain about processes that failed."""
    return {name: f"ended with {codes}" for name, codes in summaries.items() if any(codes)}


def build(library, case, threads):
    """Build the case: one call is one process."""
    if importlib.util.find_spec(library) is None:
        raise Unsupported(f"{library} is not installed")
    command = [sys.executable, "-c", f"import {library}"]

    def start():
        return subprocess.run(command, check=False, capture_output=True).returncode

    return {"": Calls([start], [start()])}
