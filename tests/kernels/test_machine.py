"""What is read of the CPU, and that no result depends on it."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn_kernels.cpu.matmul.blocks import blocks
from fastnn_kernels.cpu.vector import machine
from fastnn_kernels.cpu.vector.gemm_tile import TILE_ROWS, TILE_VECTORS

K, M = 1 << 10, 1 << 20
PRODUCT = """
import hashlib, sys, numpy as np, fastnn_kernels as k
from fastnn_kernels.cpu.matmul import blocks
rng, digest = np.random.default_rng(0), hashlib.md5()
for dtype in (np.float32, np.float64):
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in ((300, 2100), (2100, 1100)))
    y, packed = k.matmul(a, b), k.matmul(a, k.prepare_matmul(b))
    np.testing.assert_allclose(y, a.astype(np.float64) @ b, rtol=0, atol=2e4 * np.finfo(dtype).eps)
    for product in (y, packed, k.matmul(a[:, :900].T, a)):
        digest.update(product.tobytes())
for algorithm, groups in (("direct", 1), ("winograd", 1), ("im2col", 1), ("auto", 24)):
    for last in (False, True):
        x = rng.standard_normal((3, 60, 50, 24) if last else (3, 24, 60, 50)).astype("f")
        x = x.transpose(0, 3, 1, 2) if last else x
        w = rng.standard_normal((48, 24 // groups, 3, 3)).astype("f")
        y = k.conv2d(x, w, padding=1, groups=groups, algorithm=algorithm)
        for array in (y, *k.conv2d_backward(y, x, w, padding=1, groups=groups)):
            digest.update(array.tobytes())
print(blocks.K_BYTES, blocks.M_ROWS, blocks.N_BYTES, digest.hexdigest())
"""


def described(root, *levels):
    """Write a folder as Linux does: (level, type, size, CPUs) of each cache, for all of these CPUs."""
    for cpu in range(8):
        for i, (level, kind, size, shared) in enumerate(levels):
            folder = root / f"cpu{cpu}" / "cache" / f"index{i}"
            folder.mkdir(parents=True)
            for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
                (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize("allowed, third", [({0, 4}, 32 * M), ({0, 1, 4, 5}, 16 * M), (set(range(8)), 8 * M)])
def test_a_shared_cache_is_shared_out_to_cores(tmp_path, monkeypatch, allowed, third):
    described(
        tmp_path,
        (1, "Data", "48K", "0,4"), (1, "Instruction", "32K", "0,4"), (2, "Unified", "2048K", "0,4"),
        (3, "Unified", "32M", "0-7"),
    )  # fmt: skip
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: allowed, raising=False)
    assert machine.read_caches(tmp_path) == (48 * K, 2 * M, third)


def test_no_third_level(tmp_path, monkeypatch):
    described(tmp_path, (1, "Data", "64K", "0"), (2, "Unified", "1M", "0-3"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert machine.read_caches(tmp_path) == (64 * K, 256 * K, 256 * K)


def test_what_the_system_does_not_say(tmp_path):
    assert machine.read_caches(tmp_path) is None


@pytest.mark.parametrize("words", ["32K", "32K,1M,x", "0K,1M,1M", "32K,1M,1M,1M", "-1K,1M,1M"])
def test_sizes_that_are_none(monkeypatch, words):
    monkeypatch.setenv("FASTNN_CACHE_SIZES", words)
    with pytest.raises(ValueError, match="FASTNN_CACHE_SIZES"):
        machine.caches.__wrapped__()


@pytest.mark.parametrize("second", [64 * K, 256 * K, 512 * K, M, 2 * M, 64 * M])
@pytest.mark.parametrize("third", [64 * K, M, 16 * M, 512 * M])
def test_blocks(second, third):
    k_bytes, m_rows, n_bytes = blocks(second, third)
    assert k_bytes % 4096 == m_rows % TILE_ROWS == n_bytes % (TILE_VECTORS * machine.vector_bytes()) == 0
    assert min(k_bytes, m_rows, n_bytes) > 0


def test_no_result_depends_on_the_caches():
    def run(sizes):
        environment = {**os.environ, "FASTNN_CACHE_SIZES": sizes}
        command = [sys.executable, "-c", PRODUCT]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    *small, bits = run("32K,256K,1M")
    *large, same = run("48K,2M,16M")
    assert small != large
    assert bits == same
    assert np.prod([int(n) for n in large]) > 0
