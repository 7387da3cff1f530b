"""Block sizes of the matmul engine, from the caches of the CPU at hand.

K_BYTES of a row of A are summed in one block of k. It is long, since every further one reads and writes all of C again
(measured at 1024^3 float32: 109 GFLOP/s with 4096, 106 with 2048). One panel of B and M_ROWS rows of A fill the
second-level cache; N_BYTES of a row of B, times the block of k, a quarter of a core's share of the third.

Compiled code gets these numbers from the linker, so that machines of one kind of CPU but other caches can share a disk
cache. No result depends on them: an element is summed in order of k, whatever the blocking.
"""

from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.machine import caches, vector_bytes
from ..vector.simd import linked


def blocks(second: int, third: int) -> tuple[int, int, int]:
    """Return (K_BYTES, M_ROWS, N_BYTES) for a core's bytes of second- and third-level cache."""
    k_bytes = min(max(second // 256, 4096), 8192)
    depth = k_bytes // 4  # of float32; panels of float64 are as wide, but half as deep
    panel = depth * TILE_VECTORS * vector_bytes()
    m_rows = max((second - panel) // (k_bytes * TILE_ROWS), 4) * TILE_ROWS
    n_bytes = min(max(third // 4 // depth, 2048), 4096)
    return k_bytes, m_rows, n_bytes // 512 * 512


_, SECOND, THIRD = caches()
K_BYTES, M_ROWS, N_BYTES = blocks(SECOND, THIRD)
k_bytes, m_rows, n_bytes = linked("k_bytes", K_BYTES), linked("m_rows", M_ROWS), linked("n_bytes", N_BYTES)
from_memory = linked("from_memory", THIRD)  # bytes of B that no cache holds
