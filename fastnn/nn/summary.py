"""A network as a table: what comes out of each layer, what it learns and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from fastnn import random
from fastnn._checks import shape_of
from fastnn._tape import no_grad
from fastnn.tape import Tensor

from .dry import dry_run
from .module import Module, Parameter, modes_kept


class Row(NamedTuple):
    """One call of one layer."""

    name: str
    layer: str
    output_shape: tuple[int, ...]
    parameters: int  # those of the layer itself; 0 where it runs again
    flops: int


class Summary:
    """What `Module.summary` gives; prints as a table. `rows` has one `Row` per layer, in the order they ran."""

    def __init__(self, title: str, input_shape: tuple[int, ...], rows: list[Row], total: int, trainable: int) -> None:
        self.title = title
        self.input_shape = input_shape
        self.rows = rows
        self.parameters = total
        self.trainable_parameters = trainable
        self.flops = sum(row.flops for row in rows)

    def _lines(self) -> list[tuple[str, str, str, str]]:
        """Give the cells: head, input, layers, total."""
        lines = [("layer", "output shape", "parameters", "FLOPs"), (self.title, str(self.input_shape), "", "")]
        for row in self.rows:
            label = f"{row.name}: {row.layer}" if row.name else row.layer
            lines.append((f"  {label}", str(row.output_shape), f"{row.parameters:,}", f"{row.flops:,}"))
        lines.append(("total", "", f"{self.parameters:,}", f"{self.flops:,}"))
        return lines

    def _repr_html_(self) -> str:
        """Give the table for notebooks."""
        from fastnn._html import table

        head, *rows = self._lines()
        return table(head, rows, self._foot())

    def _foot(self) -> str:
        frozen = self.parameters - self.trainable_parameters
        return f"{frozen:,} of the parameters are frozen" if frozen else ""

    def __repr__(self) -> str:
        lines = self._lines()
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        rule = "-" * (sum(widths) + 6)
        text = [
            f"{label:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}  {flops:>{widths[3]}}".rstrip()
            for label, shape, count, flops in lines
        ]
        tail = [self._foot()] if self._foot() else []
        return "\n".join([text[0], rule, *text[1:-1], rule, text[-1], *tail])


@contextmanager
def watching(model: Module, note: Callable[[str, Module, Any, Any], None]) -> Iterator[None]:
    """Call ``note(name, module, first input, output)`` whenever a layer of `model` runs; eval mode, nothing fused."""

    def noting(name: str, module: Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*inputs: Any, **options: Any) -> Any:
            output = forward(*inputs, **options)
            note(name, module, inputs[0] if inputs else None, output)
            return output

        return noted

    names: dict[Module, str] = {}
    for name, module in model.named_modules():
        names.setdefault(module, name)
    replaced = {module: vars(module)["forward"] for module in names if "forward" in vars(module)}
    with modes_kept(model):
        try:
            model.eval()
            for module, name in names.items():  # a layer whose forward was replaced is never fused with another
                vars(module)["forward"] = noting(name, module, module.forward)
            yield
        finally:
            for module in names:
                vars(module).pop("forward", None)
            for module, forward in replaced.items():
                vars(module)["forward"] = forward


def summarize(model: Module, input_shape: tuple[int, ...], dtype: Any) -> Summary:
    """Run `model` once in eval mode, noting what each layer gives; see `Module.summary`.

    Nothing is computed, and no kernel compiled: the model runs dry. One that cannot (it looks at the numbers that it
    computes, say) runs on zeros.
    """
    rows: list[Row] = []
    counted: set[Parameter] = set()

    def note(name: str, module: Module, x: Any, output: Any) -> None:
        own = {value for value in vars(module).values() if isinstance(value, Parameter)}
        if own or not list(module.children()):
            parameters = sum(parameter.numel() for parameter in own - counted)
            counted.update(own)
            shapes = [value.shape if isinstance(value, Tensor) else () for value in (x, output)]
            rows.append(Row(name, type(module).__name__, shapes[1], parameters, module.flops(*shapes)))

    input_shape = shape_of("summary", input_shape)
    if dtype is None:
        dtype = next((parameter.dtype for parameter in model.parameters()), np.float32)
    streams = random.get_state()
    with watching(model, note), no_grad():
        try:
            with dry_run(model):
                model(Tensor(np.zeros(input_shape, dtype)))
        except Exception:  # whatever it was, the real run will say it
            rows.clear()
            counted.clear()
            random.set_state(streams)
            model(Tensor(np.zeros(input_shape, dtype)))
    everything = list(model.parameters())
    return Summary(
        type(model).__name__,
        tuple(input_shape),
        rows,
        sum(parameter.numel() for parameter in everything),
        sum(parameter.numel() for parameter in everything if parameter.requires_grad),
    )
