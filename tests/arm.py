"""Kernel tests on ARM64, emulated by qemu-user: `make arm`, or `python -m tests.arm [--all] [pytest arguments]`.

An aarch64 Python of this distribution with NumPy, Numba and pytest is put together in build/arm, once; nothing outside
that folder is touched, and no rights are needed. Emulation is 10 to 30 times slower than a machine, so without
arguments a selection runs that takes a few minutes; --all runs all kernel tests. CHECK=1 lets glibc check its heap at
every call, which finds writes beyond a block. Where apt, dpkg or the packages are missing, it says so and ends with 0.
"""

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path(os.environ.get("ARM_FOLDER", ROOT / "build" / "arm")).resolve()
DEBS = ["python3", "libgomp1", "libstdc++6"]
TESTING = ["pytest", "pytest-timeout", "hypothesis", "scipy", "mpmath", "psutil"]
PLATFORMS = [f"manylinux{version}_aarch64" for version in ("2014", "_2_17", "_2_27", "_2_28")]
NAMES = "take-0 or relu-0 or add-0 or softmax-0 or layer_norm-0 or max_pool2d-0"  # each compiles for 5 s and more
SHORT = ["tests/kernels/test_contract.py", "-k", f"test_contract.py and float32 and ({NAMES})"]


class Missing(Exception):
    """Raised where this machine cannot emulate the other; says why."""


def run(*command, **options):
    """Run a command and return what it prints; Missing with the end of its output if it fails."""
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode:
        raise Missing(f"{command[0]} failed: {done.stdout.strip()[-500:]}")
    return done.stdout


def apt(architecture, *arguments):
    """Run apt-get on lists and caches of its own, as if nothing were installed."""
    here = FOLDER / "apt" / architecture
    for folder in ("lists/partial", "cache/archives/partial"):
        (here / folder).mkdir(parents=True, exist_ok=True)
    (here / "status").touch()
    settings = {
        "APT::Architecture": architecture, "APT::Architectures": architecture, "Dir::State::Lists": here / "lists",
        "Dir::State::status": here / "status", "Dir::Cache": here / "cache", "Debug::NoLocking": 1,
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run("apt-get", *options, "-qq", *arguments, cwd=here / "cache" / "archives")
    return here / "cache" / "archives"


def unpack(architecture, packages, target):
    """Download packages with all that they depend on, and unpack them into a folder."""
    apt(architecture, "update")
    archives = apt(architecture, "install", "--download-only", "--no-install-recommends", "-y", *packages)
    for deb in sorted(archives.glob("*.deb")):
        run("dpkg", "-x", deb, target)


def emulator():
    """Return the path of qemu, which is fetched into the folder if it is not installed."""
    for name in ("qemu-aarch64-static", "qemu-aarch64"):
        if found := shutil.which(name) or shutil.which(name, path=FOLDER / "qemu" / "usr" / "bin"):
            return found
    unpack(run("dpkg", "--print-architecture").strip(), ["qemu-user-static"], FOLDER / "qemu")
    return str(FOLDER / "qemu" / "usr" / "bin" / "qemu-aarch64-static")


def command():
    """Return the command that starts the emulated Python, and its environment."""
    root, site = FOLDER / "root", FOLDER / "site"
    words = [emulator(), "-cpu", "max", "-L", str(root)]
    if os.environ.get("CHECK"):
        words += ["-E", "LD_PRELOAD=libc_malloc_debug.so.0", "-E", "MALLOC_CHECK_=3"]
    words.append(str(root / "usr" / "bin" / "python3"))
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTHON"))}
    paths = os.pathsep.join(map(str, (site, ROOT, ROOT / "kernels")))
    return words, ours | {
        "PYTHONHOME": str(root / "usr"), "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(FOLDER / "kernels"),
        "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(FOLDER),
    }  # fmt: skip


def set_up():
    """Put the emulated Python together."""
    if platform.system() != "Linux" or not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Missing("apt-get and dpkg are needed, as Debian and Ubuntu have them")
    unpack("arm64", DEBS, FOLDER / "root")
    words, environment = command()
    version = run(*words, "-c", "import sys; print('%d.%d' % sys.version_info[:2])", env=environment).strip()
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--target", FOLDER / "site", "--only-binary=:all:",
        "--implementation", "cp", "--python-version", version, *(f"--platform={name}" for name in PLATFORMS),
        *needed, *TESTING,
    )  # fmt: skip
    print(run(*words, "-c", "import platform, numba; print(platform.machine(), 'numba', numba.__version__)",
              env=environment))  # fmt: skip
    (FOLDER / "ready").touch()


def main(arguments):
    """Set up where that has not been done, and run tests; the exit status is pytest's."""
    try:
        if not (FOLDER / "ready").exists():
            set_up()
        words, environment = command()
    except Missing as reason:
        print(f"skipped: the tests on ARM64 cannot run here: {reason}")
        return 0
    if arguments[:1] == ["--all"]:
        arguments = ["tests/kernels", "--ignore-glob=*test_ground*", "--ignore-glob=*test_cpus*", *arguments[1:]]
    words += ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=0", *(arguments or SHORT)]
    return subprocess.run(words, env=environment, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
