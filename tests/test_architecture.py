"""The house plan, checked: imports point down, one way to compile, small files, a light `import fastnn`."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn_kernels
from fastnn_kernels._jit import _source
from fastnn_kernels._simd import LLVM_FILES

ROOT = Path(__file__).parents[1]
KERNELS = Path(fastnn_kernels.__file__).parent
ROOTS = {"fastnn": ROOT / "fastnn", "fastnn_kernels": KERNELS}

# From the ground up. A module may import what is in its own room and in rooms below; rooms of one floor don't meet.
FLOORS = [
    ("fastnn_kernels._",),  # _jit, _simd, _parallel, _memory, _shapes ...
    ("fastnn_kernels.cpu", "fastnn_kernels.cuda"),
    ("fastnn_kernels",),  # the entry points
    ("fastnn._", "fastnn.random"),  # the tape
    ("fastnn.tensor",),
    ("fastnn.functional",),
    ("fastnn.nn", "fastnn.optim", "fastnn.data"),
    ("fastnn.train",),
    ("fastnn",),  # fastnn/__init__.py, the demonstration
    ("fastnn.__main__",),
]
EXTRAS = "torch jax onnx onnxruntime sklearn scipy matplotlib pandas IPython numba.cuda hypothesis pytest".split()


def source_files():
    for folder in (*ROOTS.values(), ROOT / "tests", ROOT / "bench", ROOT / "examples"):
        yield from sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def modules():
    for package, folder in ROOTS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            yield pytest.param(name, path, id=name)


MODULES = list(modules())


def room(module):
    """Return (floor, room) of a module by the longest prefix that fits."""
    found = (-1, "")
    for floor, rooms in enumerate(FLOORS):
        for name in rooms:
            fits = module.startswith(name) if name.endswith("_") else (module + ".").startswith(name + ".")
            if fits and len(name) > len(found[1]):
                found = floor, name
    return found


def imports(path, module):
    """Yield the full names of what a file imports, apart from imports for type checkers only."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(ast.walk(node))
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join((*above, base)).rstrip(".")
            for alias in node.names:
                below = f"{base}.{alias.name}"
                yield below if is_module(below) or base in ROOTS else base


def is_module(name):
    package, *parts = name.split(".")
    path = ROOTS.get(package, ROOT / package).joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize(("module", "path"), MODULES)
def test_imports_point_down(module, path):
    floor, here = room(module)
    for target in imports(path, module):
        if target.split(".")[0] not in ROOTS:
            assert not (module.startswith("fastnn_kernels") and target.startswith("fastnn.")), target
            continue
        assert module.split(".")[0] == "fastnn" or target.split(".")[0] == "fastnn_kernels", f"{module} <- {target}"
        if not is_module(target):  # a name that a package offers, say `from fastnn import __version__`
            target = target.rpartition(".")[0]
        other, there = room(target)
        assert other < floor or there == here, f"{module} (floor {floor}) imports {target} (floor {other})"


@pytest.mark.parametrize(("module", "path"), MODULES)
def test_there_is_one_way_to_compile(module, path):
    compilers = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "generated_jit"}
    if path.parent == KERNELS and path.name == "_jit.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
            assert not compilers & {alias.name for alias in node.names}, f"{path.name}:{node.lineno}"
        elif isinstance(node, ast.Attribute) and node.attr in compilers:
            assert ast.unparse(node.value) not in ("numba", "nb", "cuda", "numba.cuda"), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(("module", "path"), MODULES)
def test_llvm_is_spoken_where_the_list_says(module, path):
    speaks = any(target.split(".")[0] == "llvmlite" for target in imports(path, module))
    # _jit.py only asks for llvmlite's version
    assert not speaks or path.parent == KERNELS and path.name in (*LLVM_FILES, "_jit.py")


@pytest.mark.parametrize(("module", "path"), [m for m in MODULES if m.values[0].startswith("fastnn_kernels")])
def test_the_cache_key_knows_every_import(module, path):
    """An import written in a way that the key's scanner overlooks would leave stale kernels behind."""
    found = {dependency.stem for dependency in _source(path)[1]}
    for target in imports(path, module):
        if target.startswith("fastnn_kernels.") and is_module(target):
            assert target.rpartition(".")[2] in found, target


def test_files_are_short_and_say_what_they_are():
    for path in source_files():
        lines = path.read_text().count("\n")
        assert lines <= 520, f"{path.relative_to(ROOT)} has {lines} lines"
        assert path.stem not in ("utils", "util", "helpers", "helper", "misc", "common"), path


def test_oracles_stand_alone():
    for path in sorted((ROOT / "tests" / "reference").rglob("*.py")):
        for target in imports(path, f"tests.reference.{path.stem}"):
            assert target.split(".")[0] not in ROOTS, f"{path.name} imports {target}"


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, **options).stdout


def test_importing_is_light():
    """`import fastnn` loads no extra, and compiles nothing."""
    output = python(
        "import sys, numba\n"  # which loads scipy where that is installed
        "import numba.core.event as event\n"
        "before = set(sys.modules)\n"
        "with event.install_recorder('numba:compile') as record:\n"
        "    import fastnn\n"
        "print(len(record.buffer), *set(sys.modules) - before, *(['numba.cuda'] if 'numba.cuda' in before else []))"
    )
    compiled, *loaded = output.split()
    assert compiled == "0"
    assert not [name for name in EXTRAS if name in loaded]


def test_importing_is_fast():
    """At most 0.35 s with bytecode on disk, by the best of up to ten runs: other work only ever adds to it."""
    code = "import time; start = time.perf_counter(); import fastnn; print(time.perf_counter() - start)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times = []
    while len(times) < 10 and min(times, default=1.0) > 0.35:
        times.append(float(python(code, env=environment)))
    assert min(times) <= 0.35, f"import fastnn took {min(times):.2f} s at best of {len(times)}"
