"""What kernels are compiled for."""

from numba.core.registry import cpu_target

from .vector.simd import vector_bytes


def about() -> dict:
    """Return the target of the compiler and the width of its vectors in bytes."""
    _, target, _ = cpu_target.target_context.codegen().magic_tuple()
    return {"target": target, "vector_bytes": vector_bytes()}
