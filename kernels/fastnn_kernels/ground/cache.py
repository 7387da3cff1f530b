"""The disk cache of compiled kernels.

Why not Numba's own: it misses edits in callees that live in other files, and raises on a corrupt file or a folder it
cannot write. Here the key holds the content of the kernel's module and of every module of this package that it
imports, directly or not; any error in reading means compiling again.

What is read is unpickled and run, so it is read only from where nobody but this user and root can have written: folder
and file belong to one of them, others can write to neither, and could not have replaced any folder above. New folders
get mode 0700, files 0600.
"""

import hashlib
import os
import pickle
import re
import stat
import sys
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

import llvmlite
import numba
from numba.core import compiler, config, serialize

PACKAGE = Path(__file__).parents[1]
ABANDONED = 3600  # seconds after which a temporary file is nobody's any more
HAS_OWNERS = hasattr(os, "geteuid")  # not on Windows, where every user has folders of his own
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # for whoever might write to a pipe of that name
BINARY = getattr(os, "O_BINARY", 0)


@cache
def _source(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """Return a module's text and the modules of this package that it imports."""
    text = path.read_bytes()
    found = []
    for dots, name, items in re.findall(
        rb"^\s*from (\.+|fastnn_kernels\.?)([\w.]*) import (\([^)]*\)|[^\n]*)", text, re.MULTILINE
    ):
        base = path.parents[len(dots) - 1] if dots.startswith(b".") else PACKAGE
        base = base.joinpath(*name.decode().split(".")) if name else base
        for item in re.findall(rb"\w+", items):
            named = base / item.decode()
            candidates = named.with_suffix(".py"), named / "__init__.py", base.with_suffix(".py"), base / "__init__.py"
            found += [candidate for candidate in candidates if candidate.is_file()][:1]
    return text, tuple(dict.fromkeys(found))


@cache
def content_key(path: Path) -> str:
    """Return a hash of a module, all that it imports from this package, the compiler's and interpreter's versions."""
    seen: list[Path] = []
    waiting = [path.resolve()]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.append(module)
            waiting += _source(module)[1]
    settings = (config.OPT, config.BOUNDSCHECK, config.LOOP_VECTORIZE, config.SLP_VECTORIZE, config.DEBUGINFO_DEFAULT)
    # compiled code reads the fields of Python objects, whose header is longer in free-threaded builds
    interpreter = (sys.version_info[:2], sys.implementation.cache_tag, object.__basicsize__)
    versions = (numba.__version__, llvmlite.__version__, interpreter)
    digest = hashlib.blake2b(repr((versions, settings)).encode(), digest_size=12)
    for module in sorted(seen):
        digest.update(_source(module)[0])
    return digest.hexdigest()


def _owned(status: os.stat_result, *others: int) -> bool:
    """Say whether this user, root or one of these others owns a file."""
    return not HAS_OWNERS or status.st_uid in (os.geteuid(), 0, *others)


def _closed(status: os.stat_result, *others: int) -> bool:
    """Say whether this user, root or one of these others owns a file or folder, and nobody else can write to it."""
    return _owned(status, *others) and not (HAS_OWNERS and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _safe_above(folder: Path) -> bool:
    """Say whether nobody else can replace a folder: no folder above it belongs to others or can be written by them.

    A sticky folder such as /tmp may be writable for all: only a file's owner can move it there. In some containers the
    root folder belongs to a user unknown inside; that owner is trusted, since everything is theirs.
    """
    top = os.stat(folder.anchor).st_uid
    every = [above.stat() for above in folder.parents]
    return all(_closed(one, top) or (_owned(one, top) and one.st_mode & stat.S_ISVTX) for one in every)


def _trusted(place: Path) -> Path | None:
    """Create a folder if need be and return it with links resolved; None unless it can be trusted."""
    try:
        place = place.absolute()
        if not all(_owned(one.lstat()) for one in (place, *place.parents) if one.is_symlink()):
            return None
        folder = place.resolve()
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        if not _safe_above(missing[-1] if missing else folder):
            return None
        for one in reversed(missing):
            one.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        return folder if stat.S_ISDIR(status.st_mode) and _closed(status) else None
    except (OSError, RuntimeError):  # cannot be made; links in a circle
        return None


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def _folders() -> tuple[tuple[Path, ...], Path | None]:
    """Return the folders to read from, in this order, and the one to write to: the last of them, or None.

    $NUMBA_CACHE_DIR/fastnn, the package's __pycache__, the user's cache folder, a folder for temporary files: those
    that are trusted, up to the first that can be written.
    """
    home = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    user = f"-{os.geteuid()}" if HAS_OWNERS else ""
    places = [PACKAGE / "__pycache__" / "kernels", Path(home) / "fastnn", Path(tempfile.gettempdir()) / f"fastnn{user}"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        places.insert(0, Path(os.environ["NUMBA_CACHE_DIR"]) / "fastnn")
    readable: list[Path] = []
    for folder in map(_trusted, places):
        if folder is not None:
            readable.append(folder)
            if _writable(folder):
                _drop_abandoned(folder)
                return tuple(readable), folder
    return tuple(readable), None


def cache_folder() -> Path | None:
    """Return where compiled kernels are written, or None if there is no folder for them: see `_folders`."""
    return _folders()[1]


@cache
def _warn_of_no_folder() -> None:
    warnings.warn(
        "fastnn: no folder can be written that is closed to other users, so kernels are compiled in every process",
        stacklevel=2,
    )


def _drop_abandoned(folder: Path) -> None:
    """Delete the temporary files of processes that were killed while they wrote."""
    try:
        for file in folder.glob("*.tmp"):
            if time.time() - file.stat().st_mtime > ABANDONED:
                file.unlink(missing_ok=True)
    except OSError:  # another process was faster
        return


def _read(file: Path) -> bytes:
    """Return a file's content; OSError unless it is a plain file that this user or root wrote and no other can."""
    with open(os.open(file, os.O_RDONLY | NO_LINKS | NO_WAIT | BINARY), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or not _closed(status):
            raise PermissionError(f"{file} could have been written by another user")
        return stream.read()


class DiskCache:
    """What a Numba dispatcher asks of its cache. One file per kernel and signature; whatever fails is compiled again.

    kind: tells apart the ways in which one function is compiled. link: makes the symbols that a result asks for known
    to the linker.
    """

    def __init__(self, function, kind, link):
        self.function, self.kind, self.link = function, kind, link

    @property
    def cache_path(self) -> str | None:
        """Return the folder, as Numba's statistics want it."""
        return str(cache_folder())

    def _name(self, signature, codegen) -> str | None:
        """Return the name of the file, or None for functions that are not in a file, whose edits would go unseen."""
        # not the file of its code: an elementwise kernel's loop stands in another file than its formula
        file = getattr(sys.modules.get(self.function.__module__), "__file__", None)
        if file is None or not (path := Path(file)).is_file():
            return None
        module = self.function.__module__.removeprefix("fastnn_kernels.")
        name = f"{self.kind}{module}.{self.function.__qualname__}".replace("<locals>.", "")
        key = hashlib.blake2b(repr((signature, codegen.magic_tuple(), content_key(path))).encode(), digest_size=12)
        return f"{name}-{key.hexdigest()}.nbc"

    def load_overload(self, signature, target_context):
        """Return the compiled result that the disk holds, or None."""
        target_context.refresh()
        name = self._name(signature, target_context.codegen())
        for folder in _folders()[0] if name else ():
            try:
                digest, payload = _read(folder / name).split(b"\n", 1)
                if hashlib.blake2b(payload, digest_size=16).hexdigest().encode() == digest:
                    symbols, result = pickle.loads(payload)
                    self.link(symbols)
                    return compiler.CompileResult._rebuild(target_context, *result)
            except Exception:  # missing, torn, written by something else: compiling is always right
                continue
        return None

    def save_overload(self, signature, result) -> None:
        """Write a compiled result beside the others, at once and whole, or leave nothing behind."""
        name, folder = self._name(signature, result.codegen), cache_folder()
        if name is None or result.library.has_dynamic_globals:
            return
        if folder is None:
            _warn_of_no_folder()
            return
        symbols = [f.name for f in result.library._final_module.functions if f.name.startswith("fastnn.")]
        payload = serialize.dumps((symbols, result._reduce()))
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
            with os.fdopen(handle, "wb") as stream:
                stream.write(hashlib.blake2b(payload, digest_size=16).hexdigest().encode() + b"\n" + payload)
            os.replace(temporary, folder / name)
            self._drop_older(folder / name)
        except BaseException as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            if not isinstance(error, OSError):  # a full disk, a limit of size: the next process tries again
                raise

    @staticmethod
    def _drop_older(file: Path) -> None:
        """Keep the newest dozen files of one kernel (dtypes, CPUs, settings); older ones are of older code."""
        stem = file.name[: -len(".nbc") - 24]
        files = sorted(file.parent.glob(f"{stem}*.nbc"), key=lambda f: f.stat().st_mtime)
        for old in files[:-12]:
            old.unlink(missing_ok=True)

    def enable(self) -> None:
        """Do nothing: the cache is always on."""

    disable = flush = enable
