"""The house plan, checked: imports point down, one way to compile, small files, a light `import fastnn`."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import fastnn_kernels
from fastnn_kernels.ground.cache import _source

ROOT = Path(__file__).parents[1]
KERNELS = Path(fastnn_kernels.__file__).parent
ROOTS = {"fastnn": ROOT / "fastnn", "fastnn_kernels": KERNELS}

BACKENDS = "fastnn_kernels.cpu", "fastnn_kernels.cuda", "fastnn_kernels.reference"

# From the ground up. A module may import what is in its own room and in rooms below; rooms of one floor don't meet.
FLOORS = [
    ("fastnn_kernels.ground",),
    ("fastnn_kernels.cpu.vector",),
    ("fastnn_kernels.cpu.math",),
    ("fastnn_kernels.formulas",),
    BACKENDS,
    ("fastnn_kernels",),  # the families: what can be computed
    ("fastnn._device",),
    ("fastnn.random",),
    ("fastnn._",),  # the tape
    ("fastnn.tape",),
    ("fastnn.functional",),
    ("fastnn.nn", "fastnn.optim", "fastnn.data"),
    ("fastnn.nn.utils", "fastnn.optim.swa_utils"),  # of both
    ("fastnn.train",),
    ("fastnn",),  # fastnn/__init__.py, the demonstration
    ("fastnn.__main__",),
]


def source_files():
    for folder in (*ROOTS.values(), ROOT / "tests", ROOT / "bench", ROOT / "examples"):
        yield from sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def modules():
    for package, folder in ROOTS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(part for part in parts if part != "__init__"))), path


MODULES = list(modules())


@cache
def tree(path):
    return ast.parse(path.read_text())


def room(module):
    """Return (floor, room) of a module by the longest prefix that fits."""
    found = (-1, "")
    for floor, rooms in enumerate(FLOORS):
        for name in rooms:
            fits = module.startswith(name) if name.endswith("_") else (module + ".").startswith(name + ".")
            if fits and len(name) > len(found[1]):
                found = floor, name
    return found


@cache
def imports(path, module):
    """Return the full names of what a file imports, apart from imports for type checkers only."""
    skipped = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(ast.walk(node))
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    found = []
    for node in ast.walk(tree(path)):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join((*above, base)).rstrip(".")
            for alias in node.names:
                below = f"{base}.{alias.name}"
                found.append(below if is_module(below) or base in ROOTS else base)
    return found


def is_module(name):
    package, *parts = name.split(".")
    path = ROOTS.get(package, ROOT / package).joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def files_of(name):
    """Return the files that a module of the kernels may be in."""
    path = KERNELS.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py"), path / "__init__.py"


def test_imports_point_down():
    wrong = []
    for module, path in MODULES:
        floor, here = room(module)
        for target in imports(path, module):
            arrow = f"{module} (floor {floor}) imports {target}"
            if target.split(".")[0] not in ROOTS:
                if module.startswith("fastnn_kernels") and target.startswith("fastnn."):
                    wrong.append(arrow)
                continue
            if module.split(".")[0] != "fastnn" and target.split(".")[0] != "fastnn_kernels":
                wrong.append(arrow)
            if not is_module(target):  # a name that a package offers, say `from fastnn import __version__`
                target = target.rpartition(".")[0]
            other, there = room(target)
            if other >= floor and there != here:
                wrong.append(f"{arrow} (floor {other})")
    assert not wrong


def families():
    """Yield the modules above the line between what is computed and how."""
    below = (*BACKENDS, "fastnn_kernels.ground", "fastnn_kernels.formulas")
    for module, path in MODULES:
        if module.startswith("fastnn_kernels.") and not (module + ".").startswith(tuple(f"{b}." for b in below)):
            yield module, path


def test_families_know_no_back_end():
    """No kernel, tile size, cache size, vector width or number of tasks above the line: a back end's plan has them."""
    how = {"tasks", "vector_bytes", "kernel", "jitted", "empty", "fresh", "memory", "threads"}
    wrong = []
    for module, path in families():
        if module in ("fastnn_kernels.info", "fastnn_kernels.__main__", "fastnn_kernels.explain"):
            continue
        wrong += [f"{module} imports {target}" for target in imports(path, module) if target.startswith(BACKENDS)]
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong += [f"{module} imports {alias.name}" for alias in node.names if alias.name in how]
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                words = node.targets[0].id.split("_")
                if {"GRAIN", "TILE", "CACHE", "LANES", "PANEL", "VECTOR", "VECTORS", "BLOCK", "BLOCKS"} & set(words):
                    wrong.append(f"{module}:{node.lineno} {node.targets[0].id}")
    assert not wrong


def test_layers_use_public_names_only():
    """`fastnn` sees of the kernels what everybody sees: names in `fastnn_kernels.__all__`."""
    wrong = []
    for module, path in MODULES:
        if module.split(".")[0] == "fastnn":
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastnn_kernels"):
                    names = {alias.name for alias in node.names}
                    if node.module != "fastnn_kernels" or names - set(fastnn_kernels.__all__):
                        wrong.append(f"{module}:{node.lineno} {node.module} {sorted(names)}")
                elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "kernels":
                    if node.attr not in fastnn_kernels.__all__:
                        wrong.append(f"{module}:{node.lineno} kernels.{node.attr}")
    assert not wrong


def test_there_is_one_way_to_compile():
    compilers = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "generated_jit"}
    wrong = []
    for _, path in MODULES:
        if path == KERNELS / "ground" / "jit.py":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba":
                if compilers & {alias.name for alias in node.names}:
                    wrong.append(f"{path.name}:{node.lineno}")
            elif isinstance(node, ast.Attribute) and node.attr in compilers:
                if ast.unparse(node.value) in ("numba", "nb", "cuda", "numba.cuda"):
                    wrong.append(f"{path.name}:{node.lineno}")
    assert not wrong


def test_llvm_is_spoken_in_one_room():
    """Vectors and tiles in `cpu/vector`; in the ground, what compiles, keeps and calls kernels."""
    ground = {
        KERNELS / "ground" / f"{name}.py"
        for name in ("jit", "cache", "entry", "lookup", "prepared", "threads", "denormal")
    }
    speak = {path for module, path in MODULES if any(t.split(".")[0] == "llvmlite" for t in imports(path, module))}
    assert not {path for path in speak if path.parent != KERNELS / "cpu" / "vector"} - ground


def test_the_cache_key_knows_every_import():
    """An import written in a way that the key's scanner overlooks would leave stale kernels behind."""
    missed = []
    for module, path in MODULES:
        if module.startswith("fastnn_kernels"):
            known = set(_source(path)[1])
            for target in imports(path, module):
                if target.startswith("fastnn_kernels.") and is_module(target) and not known & set(files_of(target)):
                    missed.append(f"{module} <- {target}")
    assert not missed


def test_files_are_short_and_say_what_they_are():
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in source_files()}
    assert not {path: count for path, count in lines.items() if count > 520}
    vague = ("utils", "util", "helpers", "helper", "misc", "common")
    assert not [path for path in source_files() if path.stem in vague]


def test_oracles_stand_alone():
    wrong = [
        f"{path.name} imports {target}"
        for path in sorted((ROOT / "tests" / "reference").rglob("*.py"))
        for target in imports(path, f"tests.reference.{path.stem}")
        if target.split(".")[0] in ROOTS
    ]
    assert not wrong


def test_importing_is_light():
    """`import fastnn` loads no package beyond numba's and numpy's, compiles nothing, and does little besides.

    How long it takes is measured by the benchmark (`make bench ARGS=import`). Here the calls of Python functions are
    counted: 40,000, whatever else the machine does.
    """
    code = (
        "import sys, numpy.random, numba\n"  # numba loads scipy where that is installed
        "import numba.core.event as event\n"
        "before, calls = set(sys.modules), 0\n"
        "def count(frame, kind, argument):\n"
        "    global calls\n"
        "    calls += kind == 'call'\n"
        "with event.install_recorder('numba:compile') as record:\n"
        "    sys.setprofile(count)\n"
        "    import fastnn\n"
        "    sys.setprofile(None)\n"
        "print(len(record.buffer), calls, *set(sys.modules) - before, *{'numba.cuda'} & before)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    compiled, calls, *loaded = done.stdout.split()
    assert compiled == "0"
    foreign = {name for name in loaded if name.split(".")[0] not in ROOTS}
    assert not {name for name in foreign if name.split(".")[0] not in sys.stdlib_module_names}
    assert len(foreign) <= 10, foreign
    assert "fastnn.demo" not in loaded
    assert int(calls) < 60_000
