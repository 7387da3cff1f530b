"""What a call does: the algorithm and why, the kernels that it launches, and their arguments.

The call is planned anew and run once on zeros, while kernels and allocations are noted. So what is told is what runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .ground.operation import operations
from .ground.recording import Recording, recording
from .ground.threads import get_num_threads


class Launch(NamedTuple):
    """A kernel that is launched: its name, a text for each argument, the number of tasks."""

    kernel: str
    arguments: tuple[str, ...]
    tasks: int


class Explanation(NamedTuple):
    """What `explain` finds; as a text, a line for each launch and argument."""

    operation: str
    notes: tuple[str, ...]
    launches: tuple[Launch, ...]
    workspace: int  # bytes
    threads: int

    def __str__(self) -> str:
        launches, threads = _count(len(self.launches), "launch", "es"), _count(self.threads, "thread")
        lines = [f"{self.operation}: {launches}, {self.workspace:,} bytes of workspace, up to {threads}"]
        lines += [f"  {note}" for note in self.notes]
        for number, launch in enumerate(self.launches, 1):
            lines.append(f"  {number}. {launch.kernel} in {_count(launch.tasks, 'task')}")
            lines += [f"       {argument}" for argument in launch.arguments]
        return "\n".join(lines)


def _count(number: int, what: str, ending: str = "s") -> str:
    return f"{number} {what}{ending * (number != 1)}"


def explain(operation: str, *arguments: Any, dtype: Any = np.float32, **options: Any) -> Explanation:
    """Tell how a call would be computed: the algorithm and why, launches with their arguments, workspace, threads.

    operation: the name of a public function, say "conv2d". All other arguments are that function's, with its shape, a
    tuple, in place of each leading array: `explain("conv2d", (1, 3, 32, 32), (16, 3, 3, 3), padding=1)`. Arrays may be
    given, too, and have to be where they hold more than floats (labels). dtype: of arrays given by shape. The result
    reads well when printed. Kernels not used before are compiled.

    Raises ValueError for a name that is no operation, and all that the function raises.
    """
    import fastnn_kernels

    function = getattr(fastnn_kernels, operation, None) if operation in operations() else None
    if function is None:
        raise ValueError(f"explain: {operation!r} is no operation; `python -m fastnn_kernels operations` lists them")
    arrays = operations()[operation].arrays
    named = dict(zip(_parameters(function), arguments, strict=False))
    for name, value in {**named, **options}.items():
        if name in (*arrays, "out") and isinstance(value, tuple) and not name.endswith("_shape"):
            (named if name in named else options)[name] = np.zeros(value, dtype)
    with recording() as record:
        result = function(*named.values(), **options)
    given = {name: value for name, value in {**named, **options}.items() if isinstance(value, ndarray)}
    return _told(operation, record, given, result if isinstance(result, tuple) else (result,))


def _parameters(function: Any) -> tuple[str, ...]:
    return tuple(function.__code__.co_varnames[: function.__code__.co_argcount])


def _told(operation: str, record: Recording, given: dict[str, Any], results: tuple[Any, ...]) -> Explanation:
    outputs = [y for y in results if isinstance(y, ndarray)]
    scratch = [x for x in record.allocated if not any(np.may_share_memory(x, y) for y in outputs)]

    def place(x: Any) -> str:
        if not isinstance(x, ndarray):
            return repr(x)
        for name, array in given.items():
            if np.may_share_memory(x, array):
                return f"{name} {x.shape}"
        for number, y in enumerate(outputs):
            if np.may_share_memory(x, y):
                return f"output{f' {number}' * (len(outputs) > 1)} {x.shape}"
        for number, array in enumerate(scratch, 1):
            if np.may_share_memory(x, array):
                return f"workspace {number} {x.shape} {x.dtype}"
        return f"table {x.shape} {x.dtype}" if x.size else "nothing"

    launches = []
    for kernel, arguments in record.launches:
        names = kernel.function.__code__.co_varnames
        shown = arguments[:-2] if kernel.parallel else arguments
        texts = tuple(f"{name} = {place(x)}" for name, x in zip(names, shown, strict=False))
        launches.append(Launch(kernel.__name__, texts, arguments[-1] if kernel.parallel else 1))
    workspace = sum(x.nbytes for x in scratch)
    return Explanation(operation, tuple(record.notes), tuple(launches), workspace, get_num_threads())
