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

# {V} is a vector of floats. There are enough sums to keep two multiply-adders busy over their latency of 4-5 cycles.
PEAK = """
define void @peak(i64 %n, ptr %out) {{
entry:
  %x0 = load volatile {V}, ptr %out, align 4
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  {phis}
  {fmas}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %exit
exit:
  {stores}
  ret void
}}
declare {V} @llvm.fma.{M}({V}, {V}, {V})
"""

READ = """
define void @read(ptr %x, i64 %n, i64 %repeat, ptr %out) {{
entry:
  br label %again
again:
  %r = phi i64 [0, %entry], [%rnext, %done]
  br label %loop
loop:
  %i = phi i64 [0, %again], [%next, %loop]
  {phis}
  {loads}
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

COPY = """
define void @copy(ptr %x, i64 %n, i64 %repeat, ptr %y) {{
entry:
  br label %again
again:
  %r = phi i64 [0, %entry], [%rnext, %done]
  br label %loop
loop:
  %i = phi i64 [0, %again], [%next, %loop]
  {moves}
  %next = add i64 %i, {step}
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  %rnext = add i64 %r, 1
  %rmore = icmp slt i64 %rnext, %repeat
  br i1 %rmore, label %again, label %exit
exit:
  ret void
}}
"""


def lanes() -> int:
    """Return how many float32 fit in the widest vector of this CPU."""
    features = llvm.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx") else 4


def _source() -> tuple[str, int]:
    count = lanes()
    vector, accumulators, loads = f"<{count} x float>", 24 if count == 16 else 12, 8

    names = {"V": vector, "M": f"v{count}f32", "step": loads * count}

    def each(template, number):
        return "\n  ".join(template.format(k=k, at=k * count, **names) for k in range(number))

    peak = PEAK.format(
        phis=each("%a{k} = phi {V} [%x0, %entry], [%b{k}, %loop]", accumulators),
        fmas=each("%b{k} = call {V} @llvm.fma.{M}({V} %a{k}, {V} %x0, {V} %x0)", accumulators),
        stores=each("store volatile {V} %b{k}, ptr %out, align 4", accumulators),
        **names,
    )
    read = READ.format(
        phis=each("%a{k} = phi {V} [zeroinitializer, %again], [%b{k}, %loop]", loads),
        loads=each(
            "%j{k} = add i64 %i, {at}\n  %p{k} = getelementptr float, ptr %x, i64 %j{k}\n"
            "  %v{k} = load {V}, ptr %p{k}, align 4\n  %b{k} = fadd {V} %a{k}, %v{k}",
            loads,
        ),
        stores=each("store volatile {V} %b{k}, ptr %out, align 4", loads),
        **names,
    )
    copy = COPY.format(
        moves=each(
            "%j{k} = add i64 %i, {at}\n  %p{k} = getelementptr float, ptr %x, i64 %j{k}\n"
            "  %q{k} = getelementptr float, ptr %y, i64 %j{k}\n"
            "  %v{k} = load {V}, ptr %p{k}, align 4\n  store {V} %v{k}, ptr %q{k}, align 4",
            loads,
        ),
        **names,
    )
    return peak + read + copy, accumulators


@cache
def _functions():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    source, accumulators = _source()
    module = llvm.parse_assembly(source)
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2
    )
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    i64, pointer = ctypes.c_int64, ctypes.c_void_p
    types = {"peak": (i64, pointer), "read": (pointer, i64, i64, pointer), "copy": (pointer, i64, i64, pointer)}
    made = {name: ctypes.CFUNCTYPE(None, *args)(engine.get_function_address(name)) for name, args in types.items()}
    return made, accumulators, engine, target  # the last two only to keep the code alive


def _aligned(count: int) -> np.ndarray:
    raw = np.zeros(count + 16, np.float32)
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


def fma_peak(threads: int = 1, seconds: float = 0.02) -> float:
    """Return the float32 flop/s of independent multiply-adds in registers, over `threads` threads."""
    functions, accumulators, *_ = _functions()
    count = max(1, int(seconds * 4e9 / accumulators * 2))
    outs = [_aligned(64) for _ in range(threads)]
    for out in outs:
        out[:] = 0.5
    elapsed = _timed(threads, [lambda out=out: functions["peak"](count, out.ctypes.data) for out in outs])
    return threads * count * accumulators * lanes() * 2 / elapsed


def read_bandwidth(size: int, threads: int = 1, seconds: float = 0.02) -> float:
    """Return the bytes/s of reading `size` bytes again and again, each thread its own share of them."""
    functions, *_ = _functions()
    count = max(size // 4 // threads // 128 * 128, 128)
    repeat = max(1, int(seconds * 3e10 / (4 * count)))
    works = []
    for _ in range(threads):
        x, out = _aligned(count), _aligned(64)
        functions["read"](x.ctypes.data, count, 1, out.ctypes.data)
        works.append(lambda x=x, out=out: functions["read"](x.ctypes.data, count, repeat, out.ctypes.data))
    return threads * repeat * count * 4 / _timed(threads, works)


def copy_bandwidth(size: int, threads: int = 1, seconds: float = 0.02) -> float:
    """Return the bytes/s, read and written, of copying within `size` bytes (half source, half target)."""
    functions, *_ = _functions()
    count = max(size // 8 // threads // 128 * 128, 128)
    repeat = max(1, int(seconds * 2e10 / (8 * count)))
    works = []
    for _ in range(threads):
        x, y = _aligned(count), _aligned(count)
        functions["copy"](x.ctypes.data, count, 1, y.ctypes.data)
        works.append(lambda x=x, y=y: functions["copy"](x.ctypes.data, count, repeat, y.ctypes.data))
    return threads * repeat * count * 8 / _timed(threads, works)


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
            read, copy = read_bandwidth(size, threads) / 1e9, copy_bandwidth(size, threads) / 1e9
            print(f"  {size >> 10:7d} KiB: read {read:6.1f} GB/s, copy {copy:6.1f} GB/s")
