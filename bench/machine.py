"""The limits of this machine, measured in the same run as everything else: multiply-adds, reads, copies.

The loops are LLVM text, compiled for the host by llvmlite: nothing in them can be optimised away or held up by Python.
"""

from __future__ import annotations

import ctypes
import platform
import threading
import time
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np

# runs over n elements, {step} at a time, `repeat` times; {V} is a vector of floats
LOOP = """
define void @{name}(ptr %x, i64 %n, i64 %repeat, ptr %y) {{
entry:
  %start = load volatile {V}, ptr %y, align 4
  br label %again
again:
  %r = phi i64 [0, %entry], [%rnext, %done]
  br label %loop
loop:
  %i = phi i64 [0, %again], [%next, %loop]
  {sums}
  {body}
  %next = add i64 %i, {step}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  {stores}
  %rnext = add i64 %r, 1
  %rmore = icmp slt i64 %rnext, %repeat
  br i1 %rmore, label %again, label %exit
exit:
  ret void
}}
"""
# of each of a loop's sums %a0, %a1 ..., which become %b0, %b1 ... and are stored at the end, where nobody reads them
SUM = "%a{k} = phi {V} [%start, %again], [%b{k}, %loop]"
STORE = "store volatile {V} %b{k}, ptr %y, align 4"
MULTIPLY_ADD = "%b{k} = call {V} @llvm.fma.v{L}f32({V} %a{k}, {V} %start, {V} %start)"
LOAD = """%j{k} = add i64 %i, {at}
  %p{k} = getelementptr float, ptr %x, i64 %j{k}
  %v{k} = load {V}, ptr %p{k}, align 4"""
ADD = "\n  %b{k} = fadd {V} %a{k}, %v{k}"
WRITE = """
  %q{k} = getelementptr float, ptr %y, i64 %j{k}
  store {V} %v{k}, ptr %q{k}, align 4"""


def lanes() -> int:
    """Return how many float32 fit in the widest vector of this CPU."""
    features = llvm.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx") else 4


def accumulators() -> int:
    """Return how many sums keep two multiply-adders busy over their latency of 4-5 cycles."""
    return 24 if lanes() == 16 else 12


def _loop(name: str, body: str, count: int, elements: int, sums: bool) -> str:
    """Return the LLVM text of a loop whose body stands in it `count` times, each for so many elements."""
    vector = {"V": f"<{lanes()} x float>", "L": lanes()}

    def each(template):
        return "\n  ".join(template.format(k=k, at=k * elements, **vector) for k in range(count))

    parts = {"sums": each(SUM), "stores": each(STORE)} if sums else {"sums": "", "stores": ""}
    return LOOP.format(name=name, body=each(body), step=count * elements, **parts, **vector)


@cache
def _functions():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(
        _loop("peak", MULTIPLY_ADD, accumulators(), 1, sums=True)
        + _loop("read", LOAD + ADD, 8, lanes(), sums=True)
        + _loop("copy", LOAD + WRITE, 8, lanes(), sums=False)
        + "declare {0} @llvm.fma.v{1}f32({0}, {0}, {0})".format(f"<{lanes()} x float>", lanes())
    )
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2
    )
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
    made = {name: kind(engine.get_function_address(name)) for name in ("peak", "read", "copy")}
    return made, engine, target  # the last two only to keep the code alive


def _aligned(count: int) -> np.ndarray:
    raw = np.full(count + 16, 0.5, np.float32)  # zeros nobody wrote would all be one page, which stays in the cache
    start = (-raw.ctypes.data % 64) // 4
    return raw[start : start + count]


def _timed(threads: int, works) -> float:
    """Run one closure per thread, all at once, and return the seconds until the last has finished."""
    barrier = threading.Barrier(threads + 1)

    def run(work):
        barrier.wait()
        work()

    pool = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in pool:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in pool:
        thread.join()
    return time.perf_counter() - start


def _rate(name: str, x_size: int, n: int, y_size: int, threads: int, seconds: float, guess: float) -> float:
    """Return how many elements per second a loop gets through, on arrays of each thread's own; y is x if its size is 0.

    guess: elements per second and thread, from which follows how often to go over them.
    """
    loop, works = _functions()[0][name], []
    repeat = max(1, int(seconds * guess / n))
    for _ in range(threads):
        x = _aligned(x_size)
        y = _aligned(y_size) if y_size else x
        loop(x.ctypes.data, n, 1, y.ctypes.data)  # brings it into the caches
        works.append(lambda x=x, y=y: loop(x.ctypes.data, n, repeat, y.ctypes.data))
    return threads * repeat * n / _timed(threads, works)


def fma_peak(threads: int = 1, seconds: float = 0.02) -> float:
    """Return the float32 flop/s of independent multiply-adds in registers, over `threads` threads."""
    return 2 * lanes() * _rate("peak", 0, 1000 * accumulators(), lanes(), threads, seconds, 8e9)


def read_bandwidth(size: int, threads: int = 1, seconds: float = 0.02) -> float:
    """Return the bytes/s of reading `size` bytes again and again, each thread its own share of them."""
    count = max(size // 4 // threads // 128 * 128, 128)
    return 4 * _rate("read", count, count, lanes(), threads, seconds, 8e9)


def copy_bandwidth(size: int, threads: int = 1, seconds: float = 0.02) -> float:
    """Return the bytes/s, read and written, of copying within `size` bytes (half source, half target)."""
    count = max(size // 8 // threads // 128 * 128, 128)
    return 8 * _rate("copy", count, count, count, threads, seconds, 2.5e9)


def update_bandwidth(size: int, threads: int = 1, seconds: float = 0.02) -> float:
    """Return the bytes/s, read and written, of writing `size` bytes where they were read from.

    It is twice that of a copy: lines that are written need not be fetched first, and go back while others come.
    """
    count = max(size // 4 // threads // 128 * 128, 128)
    return 8 * _rate("copy", count, count, 0, threads, seconds, 5e9)


BANDWIDTH = {"read": read_bandwidth, "copy": copy_bandwidth, "update": update_bandwidth}


def cpu_name() -> str:
    """Return the CPU's marketing name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    print(cpu_name(), llvm.get_host_cpu_name(), f"{32 * lanes()}-bit vectors")
    for threads in (1, 2):
        print(f"{threads} thread(s): {fma_peak(threads) / 1e9:.1f} GFLOP/s")
        for size in (16 << 10, 256 << 10, 4 << 20, 64 << 20, 512 << 20):
            rates = ", ".join(f"{name} {measure(size, threads) / 1e9:6.1f} GB/s" for name, measure in BANDWIDTH.items())
            print(f"  {size >> 10:7d} KiB: {rates}")
