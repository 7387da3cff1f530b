"""The disk cache: correct after edits and damage, closed to other users, and usable without a writable folder."""

import hashlib
import os
import pickle
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastnn_kernels
from fastnn_kernels.ground import cache
from fastnn_kernels.ground.jit import SharedFunction, exact, jitted

CALLEE = """
from ..ground.jit import jitted

@jitted
def twice(x):
    return 2 * x
"""

CALLER = '''
"""A kernel whose callee lives in another file."""

from ..ground.jit import kernel
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_folders_instead_of_files_are_passed_over(copy):
    for make in (os.mkfifo, os.mkdir):
        copy()
        for file in list(copy.cache.glob("*.nbc")):
            file.unlink()
            make(file, 0o700)
        assert copy() == "0 2 4 6 compiled"


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
    (tmp_path / f"fastnn-{os.geteuid()}").write_text("not a folder")
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


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.write_text, (self.marker, "code of another user has run")


def test_planted_code_does_not_run(copy, tmp_path):
    """In a folder that others can write to, nor in files that they can write to, nor behind links."""
    marker, elsewhere = tmp_path / "marker", {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    payload = pickle.dumps(Evil(marker))
    planted = hashlib.blake2b(payload, digest_size=16).hexdigest().encode() + b"\n" + payload
    copy()

    def runs():
        assert copy(**elsewhere) == "0 2 4 6 compiled"
        return marker.exists()

    for file in copy.cache.glob("*.nbc"):
        file.write_bytes(planted)
        file.chmod(0o666)
    assert not runs()
    for number, file in enumerate(copy.cache.glob("*.nbc")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, "replaced"
        target = copy.cache.parent / str(number)
        target.write_bytes(planted)
        target.chmod(0o600)
        file.unlink()
        file.symlink_to(target)
    assert not runs()
    for file in copy.cache.glob("*.nbc"):
        assert not file.is_symlink()
        file.write_bytes(planted)
    copy.cache.chmod(0o777)
    assert not runs()
    copy.cache.chmod(0o700)
    assert runs(), "what this user has written himself does run: else this test could not fail"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o770, 0o720, 0o702, 0o777, 0o1777])
def test_folders_that_others_can_write_to_are_not_trusted(tmp_path, mode):
    folder = tmp_path / "above" / "folder"
    folder.mkdir(parents=True, mode=0o700)
    folder.chmod(mode)
    good = mode in (0o700, 0o755)
    assert cache._trusted(folder) == (folder.resolve() if good else None)
    folder.chmod(0o700)
    folder.parent.chmod(mode)
    good |= mode == 0o1777  # such as /tmp: others cannot touch what is in it
    assert cache._trusted(folder) == (folder.resolve() if good else None)
    assert cache._trusted(folder / "a" / "b" / "c") == (folder.resolve() / "a" / "b" / "c" if good else None)
    assert (folder / "a").exists() == good, "nothing is made where it would not be used"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o620, 0o602, 0o666])
def test_files_that_others_can_write_to_are_not_read(tmp_path, mode):
    file = tmp_path / "kernel.nbc"
    file.write_bytes(b"code")
    file.chmod(mode)
    if mode in (0o600, 0o644):
        assert cache._read(file) == b"code"
        return
    with pytest.raises(PermissionError, match="could have been written by another user"):
        cache._read(file)


def give_away(path, monkeypatch):
    """Let a path seem to be another user's."""
    if os.geteuid() == 0:
        os.chown(path, 4242, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4242)


@pytest.mark.skipif(not cache.HAS_OWNERS, reason="files have no owners here")
@pytest.mark.parametrize("which", ["folder", "above", "file", "link"])
def test_nothing_of_another_user_is_read(tmp_path, monkeypatch, which):
    folder = tmp_path / "above" / "folder"
    folder.mkdir(parents=True, mode=0o700)
    file, link = folder / "kernel.nbc", tmp_path / "link"
    file.write_bytes(b"code")
    file.chmod(0o600)
    link.symlink_to(folder)
    assert cache._trusted(folder) == cache._trusted(link) == folder.resolve() and cache._read(file) == b"code"
    give_away({"folder": folder, "above": folder.parent, "file": file, "link": link}[which], monkeypatch)
    if which == "file":
        with pytest.raises(PermissionError, match="another user"):
            cache._read(file)
    else:
        assert cache._trusted(link if which == "link" else folder) is None


def test_every_user_has_a_folder_of_his_own_for_temporary_files(copy, tmp_path):
    obstacle = tmp_path / "file"
    obstacle.write_text("not a folder")
    (copy.package / "__pycache__").write_text("not a folder")
    tmp_path.chmod(0o1777)
    (tmp_path / "fastnn").mkdir(mode=0o777)
    nowhere = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), str(obstacle)) | {"TMPDIR": str(tmp_path)}
    assert copy(**nowhere) == "0 2 4 6 compiled"
    folder = tmp_path / f"fastnn-{os.geteuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and list(folder.glob("*.nbc"))
    assert not list((tmp_path / "fastnn").iterdir()) and not copy.warnings


def test_new_folders_are_closed_whatever_the_umask(copy, tmp_path):
    before = os.umask(0)
    try:
        copy(NUMBA_CACHE_DIR=str(tmp_path / "a" / "b"))
    finally:
        os.umask(before)
    for folder in ("a", "a/b", "a/b/fastnn"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
"""


def test_a_failing_write_leaves_nothing_behind(copy):
    assert copy(LIMITED + RUN) == "0 2 4 6 compiled"
    assert list(copy.cache.iterdir()) == [] and not copy.warnings


def test_temporary_files_of_killed_processes_are_deleted(copy):
    copy()
    old, new = copy.cache / "old.tmp", copy.cache / "new.tmp"
    for file in (old, new):
        file.write_bytes(b"half a kernel")
    os.utime(old, (time.time() - 86400,) * 2)
    assert copy() == "0 2 4 6 loaded"
    assert not old.exists() and new.exists(), "somebody may still be writing the newer one"


READ_ONLY = """
import tempfile
def fail(*args, **kwargs): raise OSError(30, "Read-only file system")
tempfile.TemporaryFile = tempfile.mkstemp = fail
"""


def test_a_folder_that_can_be_read_but_not_written_is_read(copy, tmp_path):
    copy()
    elsewhere = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    assert copy(READ_ONLY + RUN, **elsewhere) == "0 2 4 6 loaded" and not copy.warnings
    for file in copy.cache.glob("*.nbc"):
        file.unlink()
    assert copy(READ_ONLY + RUN, **elsewhere) == "0 2 4 6 compiled"
    assert copy.warnings.count("no folder can be written") == 1


def test_what_a_folder_to_read_lacks_is_written_to_the_next(copy, tmp_path):
    """Such as a package that root has installed and warmed up."""
    read_only = f"""
import tempfile
real = tempfile.TemporaryFile
def fail(*args, dir=None, **kwargs):
    if str(dir).startswith({str(copy.cache)!r}): raise OSError(30, "Read-only file system")
    return real(*args, dir=dir, **kwargs)
tempfile.TemporaryFile = fail
"""
    shutil.rmtree(copy.package / "__pycache__", ignore_errors=True)
    (copy.package / "__pycache__").write_text("not a folder")
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "home")}
    copy()
    for file in copy.cache.glob("*.nbc"):
        file.unlink()
    assert copy(read_only + RUN, **home) == "0 2 4 6 compiled"
    assert list((tmp_path / "home" / "fastnn").glob("*.nbc")) and not list(copy.cache.glob("*.nbc"))
    assert copy(read_only + RUN, **home) == "0 2 4 6 loaded"


@pytest.mark.parametrize(
    "change", ["sys.implementation.cache_tag = 'cpython-313t'", "sys.version_info = (3, 99)"], ids=["tag", "version"]
)
def test_the_interpreter_is_part_of_the_key(copy, change):
    copy()
    late = "import sys, numba, numba.core.codegen, fastnn_kernels.ground.cache\n" + change + RUN
    assert copy(late) == "0 2 4 6 compiled"


def function(name, closure=None):
    def made(x):
        return closure

    made.__qualname__ = made.__name__ = name
    return made


def test_two_functions_of_one_name_are_refused():
    """They would load each other's code."""
    first = function("probe_named", 1)
    jitted(first), jitted(first), exact(first)
    jitted(function("probe_named", 1))  # of the same code and the same objects
    with pytest.raises(TypeError, match="two functions for kernels are named probe_named"):
        jitted(function("probe_named", 2))
    with pytest.raises(TypeError, match="two functions for kernels are named probe_named"):
        exact(function("probe_named", 2))
    jitted(function("probe_other", 2))
    SharedFunction(function("probe_shared", 1))
    with pytest.raises(TypeError, match="two functions for kernels are named probe_shared"):
        SharedFunction(function("probe_shared", 2))
    moved = function("probe_shared", 1)
    moved.__module__ = "elsewhere"
    with pytest.raises(TypeError, match="has a shared probe_shared, too"):
        SharedFunction(moved)


def test_a_module_may_be_imported_again(copy):
    again = "import importlib, fastnn_kernels.cpu.probe as probe; importlib.reload(probe)\n"
    assert copy(RUN + again + RUN).split()[4] == "compiled"
    edited = again.replace("importlib.reload", "open(probe.__file__, 'a').write('# more'); importlib.reload")
    assert copy(RUN + edited + RUN).split()[4] == "loaded"
