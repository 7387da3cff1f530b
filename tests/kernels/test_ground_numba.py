"""What kernels use of Numba that Numba does not promise to keep: the one list of it, tried with the version at hand.

Tested with Numba 0.62.1 (llvmlite 0.45, NumPy 2.0, Python 3.11) and 0.68.1 (llvmlite 0.50, NumPy 2.4 and 2.5, Python
3.11 to 3.14). `pyproject.toml` caps Numba below the next release; CONTRIBUTING.md says how that one is tried.
"""

import inspect
import linecache
import re
import tomllib
from importlib import metadata
from operator import attrgetter
from pathlib import Path

import numba.core.compiler
import numba.core.config
import numba.core.dispatcher
import numba.core.serialize
import numba.np.ufunc.parallel
import pytest
from numba.core import cgutils, typing
from numba.core.callconv import CPUCallConv
from numba.core.codegen import JITCodeLibrary
from numba.core.registry import cpu_target

from fastnn_kernels import specs
from fastnn_kernels.ground.jit import _claimed

ROOT = Path(__file__).parents[2]
NAMES = {  # by the file that uses them
    "_jit.py": [
        (numba.core.dispatcher.Dispatcher, "get_compile_result"),
        (numba.core.compiler.CompileResult, "library fndesc"),
        (numba.core.config, "DISABLE_JIT"),
        (typing.BaseContext, "resolve_function_type"),
        (cgutils, "get_or_insert_function"),
    ],
    "_cache.py": [
        (numba.core.compiler.CompileResult, "_reduce _rebuild codegen"),
        (numba.core.serialize, "dumps"),
        (JITCodeLibrary, "has_dynamic_globals get_pointer_to_function"),
        (cpu_target.target_context, "codegen refresh call_conv"),
        (numba.core.config, "OPT BOUNDSCHECK LOOP_VECTORIZE SLP_VECTORIZE DEBUGINFO_DEFAULT"),
    ],
    "_parallel.py": [
        (numba.np.ufunc.parallel, "_is_initialized _launch_threads"),
        (numba.core.config, "THREADING_LAYER THREADING_LAYER_PRIORITY"),
        (CPUCallConv, "call_function return_value get_function_type"),
        (cgutils, "alloca_once alloca_once_value pack_struct unpack_tuple for_range"),
    ],
    "_simd.py": [(numba.core.config, "CPU_NAME CPU_FEATURES")],
}


@pytest.mark.parametrize("file", NAMES)
def test_every_name_is_there(file):
    for owner, names in NAMES[file]:
        for name in names.split():
            attrgetter(name)(owner)


def test_what_only_objects_have():
    """The dispatcher's cache and options, a compiled library's module, the names of functions, the thread launcher."""

    def one():
        return 1

    made = numba.njit(_nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=False)(one)
    assert made._cache is not None and made._numba_type_ is not None
    result = made.get_compile_result(numba.types.int64())
    assert result.fndesc.llvm_func_name and result.fndesc.llvm_cfunc_wrapper_name
    assert list(result.library._final_module.functions)
    assert len(result.codegen.magic_tuple()) == 3
    numba.np.ufunc.parallel._launch_threads()
    assert numba.np.ufunc.parallel._threading_layer
    import llvmlite.binding as llvm

    assert llvm.address_of_symbol("numba_parallel_for")


def test_numba_is_capped_at_what_was_tried():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = next(one for one in dependencies if one.startswith("numba"))
    lowest, highest = bounds.removeprefix("numba>=").split(",<")
    number = [tuple(map(int, v.split(".")[:2])) for v in (lowest, metadata.version("numba"), highest)]
    assert number[0] <= number[1] < number[2]


def test_the_code_of_every_compiled_function_says_where_it_stands():
    """Numba looks its source up there; Python 3.13 wants it to be the line of a `def`, a decorator or a lambda."""
    functions = {spec.kernel.function for spec in specs()} | {function for function, _ in _claimed.values()}
    assert len(functions) > 400
    for function in functions:
        code = function.__code__
        line = linecache.getline(code.co_filename, code.co_firstlineno)
        assert re.match(r"\s*(@|(async )?def )|.*\blambda\b", line), (function, code.co_filename, code.co_firstlineno)
        assert inspect.getsourcelines(function)[1] == code.co_firstlineno
