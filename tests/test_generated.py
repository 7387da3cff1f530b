"""Files that follow from others. To write them again: ``python -m tests.test_generated``.

Entry points, operations and layers are made of the table when they are imported, which an editor or a type checker
does not see: for those there are stubs. `docs/activations.md` lists them for people. `docs/architecture.svg` follows
from the imports.
"""

import inspect
import runpy
from pathlib import Path

import pytest

import fastnn_kernels
from fastnn import functional, nn
from fastnn_kernels.formulas.activation import FORMULAS

ROOT = Path(__file__).parents[1]
KERNELS = Path(fastnn_kernels.__file__).parent
HEAD = "# What tests/test_generated.py makes of the table in fastnn_kernels/formulas/activation.py, for editors.\n"


def stub_of_functions(module, kind):
    """Declare the functions of a module, all of whose arguments that are no arrays are of one type."""
    lines = [HEAD + f"from typing import Any\n\n__all__ = {module.__all__}\n"]
    for name in module.__all__:
        function = getattr(module, name)
        arguments = []
        for p in inspect.signature(function).parameters.values():
            if p.kind is p.KEYWORD_ONLY and "*" not in arguments:
                arguments.append("*")
            usual = p.default if p.default is not p.empty else None
            annotation = kind.get(type(usual), "Any")
            if p.name in ("input", "dy", "y", "out"):
                annotation = "Any"
            elif p.default is p.empty:
                annotation = "float"
            arguments.append(f"{p.name}: {annotation}" + ("" if p.default is p.empty else " = ..."))
        lines.append(f"def {name}({', '.join(arguments)}) -> Any: ...")
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
    return "\n".join(lines) + "\n"


FILES = {
    KERNELS / "activation.pyi": lambda: stub_of_functions(
        fastnn_kernels.activation, {float: "float", str: "str", bool: "bool"}
    ),
    ROOT / "fastnn/functional/activation.pyi": lambda: stub_of_functions(
        functional.activation, {float: "float", str: "str", bool: "bool"}
    ),
    ROOT / "fastnn/nn/activation.pyi": stub_of_layers,
    ROOT / "docs/activations.md": page,
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
