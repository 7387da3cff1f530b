"""The disk cache: right after every edit, unharmed by damage, happy without a folder it can write."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn_kernels

CALLEE = """
from .._jit import jitted

@jitted
def twice(x):
    return 2 * x
"""

CALLER = '''
"""A kernel whose callee lives in another file."""

from .._jit import kernel
from .probe_callee import twice

@kernel("T[::1], T[::1]")
def probe__apply(x, out):
    for i in range(x.size):
        out[i] = twice(x[i])
'''

RUN = """
import sys, warnings
warnings.simplefilter("always")
import numpy as np
import numba.core.event as event
from fastnn_kernels.cpu.probe import probe__apply
x, out = np.arange(4, dtype=np.float32), np.full(4, np.nan, np.float32)
with event.install_recorder("numba:compile") as record:
    probe__apply[x.dtype](x, out)
print(*out.astype(int), "compiled" if record.buffer else "loaded")
"""


@pytest.fixture
def copy(tmp_path):
    """Return a function that runs the probe kernel in a fresh process, on a copy of the package."""
    package = tmp_path / "site" / "fastnn_kernels"
    shutil.copytree(Path(fastnn_kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text('"""Nothing but the probe."""\n')
    (package / "cpu" / "probe_callee.py").write_text(CALLEE)
    (package / "cpu" / "probe.py").write_text(CALLER)

    def run(code=RUN, **environment):
        environment = {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(tmp_path / "cache"), **environment}
        done = subprocess.run([sys.executable, "-B", "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        run.warnings = done.stderr
        return done.stdout.strip()

    run.package, run.cache = package, tmp_path / "cache" / "fastnn"
    return run


def test_second_process_loads_what_the_first_compiled(copy):
    assert copy() == "0 2 4 6 compiled"
    assert copy() == "0 2 4 6 loaded"


def test_an_edited_callee_in_another_file_is_seen(copy):
    copy()
    callee = copy.package / "cpu" / "probe_callee.py"
    callee.write_text(CALLEE.replace("2 * x", "3 * x"))
    assert copy() == "0 3 6 9 compiled"
    assert copy() == "0 3 6 9 loaded"
    callee.write_text(CALLEE)
    assert copy() == "0 2 4 6 loaded", "going back finds the older result"


def test_an_unrelated_edit_keeps_the_cache(copy):
    copy()
    (copy.package / "cpu" / "other.py").write_text('"""Another kernel family."""\n')
    assert copy() == "0 2 4 6 loaded"


def test_compiler_settings_are_part_of_the_key(copy):
    copy()
    assert copy(NUMBA_OPT="1") == "0 2 4 6 compiled"
    assert copy(NUMBA_CPU_NAME="generic") == "0 2 4 6 compiled"
    assert copy() == "0 2 4 6 loaded"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[: len(data) // 2] + b"\xff" * 64 + data[len(data) // 2 + 64 :],
    ],
    ids=["empty", "cut", "overwritten"],
)
def test_a_damaged_file_is_compiled_anew(copy, damage):
    copy()
    files = list(copy.cache.glob("*.nbc"))
    assert files
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    assert copy() == "0 2 4 6 compiled"
    assert copy() == "0 2 4 6 loaded", "and repaired"
    assert not list(copy.cache.glob("*.tmp")) and not copy.warnings


def test_a_folder_that_cannot_be_written_is_passed_over(copy, tmp_path):
    obstacle = tmp_path / "file"
    obstacle.write_text("not a folder")  # stops even the superuser, who may write to read-only folders
    elsewhere = {"NUMBA_CACHE_DIR": str(obstacle), "HOME": str(obstacle), "XDG_CACHE_HOME": str(tmp_path / "user")}
    (copy.package / "__pycache__").write_text("not a folder")
    assert copy(**elsewhere) == "0 2 4 6 compiled"
    assert copy(**elsewhere) == "0 2 4 6 loaded"
    assert list((tmp_path / "user" / "fastnn").glob("*.nbc")) and not copy.warnings


def test_no_folder_at_all_costs_one_warning(copy, tmp_path):
    obstacle = tmp_path / "file"
    obstacle.write_text("not a folder")
    (copy.package / "__pycache__").write_text("not a folder")
    (tmp_path / "fastnn").write_text("not a folder")
    nowhere = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), str(obstacle)) | {"TMPDIR": str(tmp_path)}
    twice = RUN + "probe__apply[np.dtype('f8')](x.astype('f8'), out.astype('f8'))"
    assert copy(twice, **nowhere) == "0 2 4 6 compiled"
    assert copy.warnings.count("no folder can be written") == 1


def test_old_files_do_not_pile_up(copy):
    callee = copy.package / "cpu" / "probe_callee.py"
    stale = copy.cache / "cpu.probe.probe__apply-"
    copy()
    for number in range(30):
        Path(f"{stale}{number:024x}.nbc").write_bytes(b"of older code")
    callee.write_text(CALLEE.replace("2 * x", "5 * x"))
    copy()
    assert len(list(copy.cache.glob("cpu.probe.probe__apply-*.nbc"))) <= 12
    assert copy() == "0 5 10 15 loaded"
