"""Files that follow from others. To write them again: ``python -m tests.test_generated``.

Entry points, operations and layers are made of the table when they are imported, which an editor or a type checker
does not see: for those there are stubs. `docs/activations.md` lists them for people. `docs/architecture.svg` follows
from the imports, `docs/pytorch-names.md` from what is there.
"""

import inspect
import runpy
from pathlib import Path

import pytest

import fastnn_kernels
from fastnn import functional, nn
from fastnn.functional import top_level  # noqa: F401  (read as functional.top_level)
from fastnn_kernels import MATHEMATICS
from fastnn_kernels.formulas.activation import FORMULAS

ROOT = Path(__file__).parents[1]
KERNELS = Path(fastnn_kernels.__file__).parent
HEAD = "# What tests/test_generated.py makes of the table in fastnn_kernels/formulas/activation.py, for editors.\n"


def stub_of_functions(module, kind, head=HEAD):
    """Declare the functions of a module, all of whose arguments that are no arrays are of one type."""
    lines = [head + f"from typing import Any\n\n__all__ = {module.__all__}\n"]
    for name in module.__all__:
        function = getattr(module, name)
        arguments = []
        for p in inspect.signature(function).parameters.values():
            if p.kind is p.KEYWORD_ONLY and "*" not in arguments:
                arguments.append("*")
            usual = p.default if p.default is not p.empty else None
            annotation = kind.get(type(usual), "Any")
            if p.name in ("input", "other", "dy", "y", "out"):
                annotation = "Any"
            elif p.default is p.empty:
                annotation = "float" if kind else "Any"
            arguments.append(f"{p.name}: {annotation}" + ("" if p.default is p.empty else " = ..."))
        lines.append(f"def {name}({', '.join(arguments)}) -> Any: ...")
    return "\n".join(lines) + "\n"


def declared(function, first):
    """Give the arguments of a function from place `first` on, for a stub."""
    arguments, named = [], False
    for p in list(inspect.signature(function).parameters.values())[first:]:
        if p.kind is p.KEYWORD_ONLY and not named:
            arguments.append("*")
        named |= p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        usual = "" if p.default is p.empty else " = ..."
        arguments.append(f"{stars}{p.name}: Any{usual}")
    return ", ".join(arguments)


def stub_of_methods():
    """Declare the methods and operators that Tensor gets from `fastnn.functional`."""
    lines = [
        "# What tests/test_generated.py makes of the tables in fastnn/functional/names.py, for editors.",
        "import builtins",
        "from typing import Any",
        "",
        "import numpy as np",
        "",
        "from fastnn.tape import Tensor",
        "",
        "class Operators:",
    ]
    returned = {
        "bool": "builtins.bool",
        "int": "builtins.int",
        "None": "None",
        "np.ndarray": "np.ndarray[Any, Any]",
        "Any": "Any",
    }
    several = ("sort", "topk", "split", "chunk", "unbind", "max", "min", "median", "mode", "kthvalue", "tensor_split")
    several += ("aminmax", "nanmedian")
    for name, method in sorted(functional.operators.everyday(functional.functions()).items()):
        if isinstance(method, property):
            kind = "Tensor" if name in ("T", "H", "mT", "mH") else "Any"
            lines += ["    @property", f"    def {name}(self) -> {kind}: ..."]
            continue
        if name in ("__hash__", "__eq__", "__ne__"):  # those of object, for type checkers
            continue
        kind = "Any" if name in several else "Tensor"
        if name in functional.methods.METHODS or name == "__setitem__":
            kind = returned.get(method.__annotations__.get("return", "Any"), "Tensor")
        arguments = declared(method, 1)
        if name in ("__add__", "__sub__", "__truediv__"):  # an operator has no options
            arguments = arguments.partition(", *,")[0]
        lines.append(f"    def {name}({', '.join(['self', arguments] if arguments else ['self'])}) -> {kind}: ...")
    return "\n".join(lines) + "\n"


def stub_of_top_level():
    """Declare the functions that stand at the top level of `fastnn`."""
    names, own = functional.names, functional.methods.TOP_LEVEL
    lines = ["# What tests/test_generated.py makes of the tables in fastnn/functional/names.py, for type checkers."]
    lines.append("from typing import Any\n")
    for name in functional.top_level.__all__:
        source = names.ALIASES.get(name, name)
        if name.endswith("_"):
            lines.append(f"def {name}(input: Any, *args: Any, **options: Any) -> Any: ...")
            continue
        module = own[source].__module__ if source in own else "."
        source = own[source].__name__ if source in own else source
        lines.append(f"from {module} import {source} as {name}")
    return "\n".join(lines) + "\n"


def stub_of_layers():
    """Declare the layers."""
    lines = [
        HEAD + f"from typing import Any\n\nfrom .module import Module\n\n__all__ = {nn.activation.__all__}\n",
        "class Activation(Module):",
        "    inplace: bool",
        "    def forward(self, input: Any) -> Any: ...\n",
        "class Identity(Module):",
        "    def __init__(self, *arguments: Any, **named: Any) -> None: ...",
        "    def forward(self, input: Any) -> Any: ...\n",
        "class GELU(Module):",
        "    approximate: str",
        '    def __init__(self, approximate: str = "none") -> None: ...',
        "    def forward(self, input: Any) -> Any: ...\n",
    ]
    for spec in layers():
        lines.append(f"class {spec.layer}(Activation):")
        lines += [f"    {name}: float" for name in spec.parameters]
        arguments = [
            f"{name}: float" + ("" if usual is None else f" = {usual}") for name, usual in spec.parameters.items()
        ]
        lines.append(f"    def __init__(self, {', '.join([*arguments, 'inplace: bool = False'])}) -> None: ...\n")
    return "\n".join(lines)


def layers():
    return [spec for spec in FORMULAS.values() if spec.layer and spec.layer != "GELU"]


def page():
    """List the functions for people."""
    lines = [
        "# Elementwise functions",
        "",
        "Each stands as `fastnn.functional.NAME` (differentiable, also `inplace=True`), as `fastnn.kernels.NAME` and",
        "`NAME_backward` (on arrays, also `out=`), and as a layer of `fastnn.nn`. All compute in the input's dtype.",
        "",
        "The errors are the largest in units in the last place (ulp): in float32 over all 2^32 arguments, where",
        "`make exhaustive` measures them, in float64 over random arguments against 50 digits.",
        "",
        "| function | layer | what it gives | error float32 | error float64 | its gradient is taken from |",
        "|---|---|---|---|---|---|",
    ]
    for spec in FORMULAS.values():
        given = "".join(
            f", {name}" + ("" if usual is None else f"={usual:g}") for name, usual in spec.parameters.items()
        )
        name = 'gelu(x, approximate="tanh")' if spec.name == "gelu_tanh" else f"{spec.name}(x{given})"
        summary = spec.doc.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        layer = f"`{spec.layer}`" if spec.layer else ""
        source = "nothing: it is 0 everywhere" if "gradient is 0 everywhere" in spec.doc else f"the {spec.gradient_of}"
        lines.append(f"| `{name}` | {layer} | {summary} | {spec.ulp[0]:g} | {spec.ulp[1]:g} | {source} |")
    lines += [
        "",
        "## Mathematics",
        "",
        "The same for functions without a layer and without `inplace=True`. Those by the C library are computed one",
        "element after the other.",
        "",
        "| function | what it gives | error float32 | error float64 | its gradient is taken from |",
        "|---|---|---|---|---|",
    ]
    for spec in MATHEMATICS.values():
        summary = spec.doc.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        source = "nothing: it is 0 everywhere" if "gradient is 0 everywhere" in spec.doc else f"the {spec.gradient_of}"
        lines.append(f"| `{spec.name}(x)` | {summary} | {spec.ulp[0]:g} | {spec.ulp[1]:g} | {source} |")
    return "\n".join(lines) + "\n"


TABLE_OF = "# What tests/test_generated.py makes of the table in fastnn_kernels/formulas/{}.py, for editors.\n"
FILES = {
    KERNELS / "activation.pyi": lambda: stub_of_functions(
        fastnn_kernels.activation, {float: "float", str: "str", bool: "bool"}
    ),
    ROOT / "fastnn/functional/activation.pyi": lambda: stub_of_functions(
        functional.activation, {float: "float", str: "str", bool: "bool"}
    ),
    KERNELS / "arithmetic.pyi": lambda: stub_of_functions(fastnn_kernels.arithmetic, {}, TABLE_OF.format("arithmetic")),
    KERNELS / "mathematics.pyi": lambda: stub_of_functions(
        fastnn_kernels.mathematics, {}, TABLE_OF.format("mathematics")
    ),
    ROOT / "fastnn/functional/mathematics.pyi": lambda: stub_of_functions(
        functional.mathematics, {}, TABLE_OF.format("mathematics")
    ),
    ROOT / "fastnn/functional/operands.pyi": lambda: stub_of_functions(
        functional.operands, {}, "# What tests/test_generated.py makes of the table in operands.py, for editors.\n"
    ),
    ROOT / "fastnn/functional/comparison.pyi": lambda: (
        stub_of_functions(
            functional.comparison,
            {bool: "bool"},
            "# What tests/test_generated.py makes of the table in comparison.py.\n",
        )
        + "\nUFUNCS: dict[str, Any]\n"
    ),
    ROOT / "fastnn/functional/top_level.pyi": stub_of_top_level,
    ROOT / "fastnn/_operators.pyi": stub_of_methods,
    ROOT / "fastnn/nn/activation.pyi": stub_of_layers,
    ROOT / "docs/activations.md": page,
    ROOT / "docs/pytorch-names.md": lambda: runpy.run_path(str(ROOT / "docs/draw_pytorch_names.py"))["page"](),
    ROOT / "docs/architecture.svg": lambda: runpy.run_path(str(ROOT / "docs/draw_architecture.py"))["drawing"](),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_is_what_the_table_says(path):
    assert path.read_text() == FILES[path](), "write it again: python -m tests.test_generated"


def test_every_layer_is_there():
    assert {spec.layer for spec in layers()} | {"GELU", "Identity"} == set(nn.activation.__all__)


if __name__ == "__main__":
    for path, text in FILES.items():
        path.write_text(text())
