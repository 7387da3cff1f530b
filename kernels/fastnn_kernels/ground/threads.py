"""Threads: how many, and how a kernel's range of work is dealt out to them.

A kernel is a function of a range `(lo, hi)`. `run_tasks` runs it once per task, each task with an even share of the
whole range, on the threads of Numba's threading layer. It calls the layer's C entry point itself: launching costs what
the layer costs (1-2 us with OpenMP), and a kernel compiles as plain serial code, three times faster than under
`parallel=True`. The number of tasks is an argument of every launch, so threads can be set at any time.

Promise to keep in every kernel: no sum is split by the number of tasks. Then all results have the same bits whatever
the number of threads.
"""

import contextlib
import math
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from llvmlite import ir
from numba import config, types
from numba.core import cgutils

from .denormal import flushing
from .environment import wanted_threads
from .settings import SETTINGS, THREADS

MOST, MOST_PER_CORE = 32, 4  # threads
SPINS = "20000"  # looks that a waiting thread takes before it sleeps
INTP = ir.IntType(64)
FLAG = ir.IntType(8)
BYTES = ir.IntType(8).as_pointer()
TASK = ir.FunctionType(ir.VoidType(), [BYTES.as_pointer(), INTP.as_pointer(), INTP.as_pointer(), BYTES])


def _cgroup_quota() -> int:
    """Return the cores that the control group grants, rounded up; a large number if it does not say."""
    for path, quota_first in (("/sys/fs/cgroup/cpu.max", True), ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", False)):
        try:
            words = Path(path).read_text().split()
            period = words[1] if quota_first else Path(path).with_name("cpu.cfs_period_us").read_text()
            if words[0] not in ("max", "-1"):
                return max(1, math.ceil(int(words[0]) / int(period)))
        except (OSError, ValueError, IndexError):
            continue
    return 1 << 30


def default_num_threads() -> int:
    """Return NUMBA_NUM_THREADS or OMP_NUM_THREADS if set, else the cores this process may use (affinity, cgroup)."""
    wanted = wanted_threads()
    return _clamped("the environment", wanted) if wanted else min(_cores(), _cgroup_quota())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _room_for_threads() -> int:
    """Return how many threads the system lets this user or container start now; a large number if it does not say."""
    room = 1 << 30
    try:
        most, now = (Path(f"/sys/fs/cgroup/pids.{name}").read_text().strip() for name in ("max", "current"))
        room = int(most) - int(now)
    except (OSError, ValueError):  # no such files, or "max"
        pass
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        if limit != resource.RLIM_INFINITY and os.geteuid() != 0:
            room = min(room, limit - _threads_of_user())
    except (ImportError, AttributeError, OSError):  # Windows; macOS has no /proc
        pass
    return max(room, 0)


def _threads_of_user() -> int:
    count = 0
    for process in os.scandir("/proc"):
        try:
            if process.name.isdigit() and process.stat().st_uid == os.getuid():
                count += os.stat(f"{process.path}/task").st_nlink - 2  # a folder for each thread
        except OSError:  # it has ended meanwhile
            continue
    return count


def most_threads() -> int:
    """Return how many threads kernels may use at most: 4 per core, or 32, unless the system grants fewer.

    Every thread of a product has buffers of its own, and OpenMP ends the process if it cannot start one.
    """
    return max(1, min(max(MOST, MOST_PER_CORE * _cores()), threading.active_count() + _room_for_threads()))


def _clamped(who: str, n: int) -> int:
    """Return n, or with a warning the largest number of threads there may be."""
    if n <= _cores() or n <= (most := most_threads()):
        return n
    warnings.warn(f"fastnn: {who} asks for {n} threads; {most} are the most there can be here", stacklevel=3)
    return most


SETTINGS[THREADS] = default_num_threads()
_forked = False
_workqueue_lock = threading.Lock()


def get_num_threads() -> int:
    """Return how many threads a kernel may use."""
    return SETTINGS[THREADS]


def set_num_threads(n: int) -> None:
    """Let kernels use `n` threads. More than there are cores are allowed, up to 4 for each or 32 in all.

    Beyond that, or beyond what the system's limits leave, it warns and takes the most there can be. Raises ValueError
    unless n >= 1.
    """
    if isinstance(n, bool) or not hasattr(n, "__index__") or n.__index__() < 1:
        raise ValueError(f"set_num_threads: n must be a positive integer, got {n!r}")
    SETTINGS[THREADS] = 1 if _forked else _clamped("set_num_threads", n.__index__())


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Use `n` threads inside a `with` block."""
    before = SETTINGS[THREADS]
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def tasks(work: int, grain: int) -> int:
    """Return into how many tasks `work` items are cut: one per thread, none of fewer than `grain` items."""
    if (most := SETTINGS[THREADS]) == 1 or work < 2 * grain:
        return 1
    return min(most, work // grain)


def _become_serial() -> None:
    """GNU OpenMP kills a forked child at its first launch, and other layers' threads are gone: compute serially."""
    global _forked, _workqueue_lock
    SETTINGS[THREADS], _forked = 1, True
    _workqueue_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_become_serial)


def start_threading_layer() -> None:
    """Load Numba's threading layer, which gives compiled code its `numba_parallel_for`."""
    from numba.np.ufunc import parallel

    if config.THREADING_LAYER == "default" and not parallel._is_initialized:
        config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]  # omp launches fastest and is always in the wheel
    with _patience():
        parallel._launch_threads()


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Let threads of GNU OpenMP, if it is loaded now, wait awake for about 0.6 ms, unless the environment says else.

    Asleep they are woken in 30 us. Of themselves they stay awake for 10 ms and more, and where other processes want
    the cores, each wait for a thread that is not running costs so much.
    """
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = SPINS
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)  # another thread that starts the layer may have been faster


def threading_layer() -> str:
    """Return the name of the threading layer in use: "omp", "tbb" or "workqueue"."""
    start_threading_layer()
    from numba.np.ufunc import parallel

    return str(parallel._threading_layer)


def guarded(entry):
    """Return `entry` made safe for callers in several threads: the workqueue layer aborts on concurrent launches."""
    if threading_layer() != "workqueue":
        return entry

    def locked(*args):
        with _workqueue_lock:
            return entry(*args)

    return locked


def call_body(context, builder, descriptor, argument_types, values):
    """Emit a call of a compiled function that returns nothing, and return whether it failed."""
    function = context.declare_function(builder.module, descriptor)
    status, _ = context.call_conv.call_function(builder, function, types.none, argument_types, values)
    return status.is_error


def run_tasks(context, builder, descriptor, argument_types, flush, *values):
    """Emit calls of a compiled function(*arguments, lo, hi), and return whether one failed.

    flush: whether every task takes denormal numbers for 0, whatever the mode.
    values: its arguments, n and a number: for as many even shares of `range(n)`, at once; in this thread if it is one.
    """
    failed = cgutils.alloca_once_value(builder, FLAG(0))
    state = cgutils.pack_struct(builder, [*values, failed])
    data = builder.bitcast(cgutils.alloca_once_value(builder, state), BYTES)
    task = _task_function(context, builder.module, descriptor, argument_types, flush, state.type)
    slot = cgutils.alloca_once(builder, BYTES, zfill=True)
    number, nothing = values[-1], ir.Constant(INTP.as_pointer(), None)
    with builder.if_else(builder.icmp_signed("<=", number, INTP(1))) as (alone, together):
        with alone:
            builder.call(task, [slot, nothing, nothing, data])
        with together:
            _launch(builder, task, slot, number, data)
    return builder.trunc(builder.load(failed), ir.IntType(1))


def _task_function(context, module, descriptor, argument_types, flush, state_type):
    """Emit the function that one thread runs: its first argument slot holds the task's number instead of a pointer."""
    task = ir.Function(module, TASK, f"task.{descriptor.mangled_name}")
    task.linkage = "internal"
    task.attributes.add("noinline")
    builder = ir.IRBuilder(task.append_basic_block())
    state = builder.load(builder.bitcast(task.args[3], state_type.as_pointer()))
    *values, n, number, failed = cgutils.unpack_tuple(builder, state)
    index = builder.ptrtoint(builder.load(task.args[0]), INTP)
    lo = builder.sdiv(builder.mul(index, n), number)
    hi = builder.sdiv(builder.mul(builder.add(index, INTP(1)), n), number)
    with flushing(builder, flush):
        error = call_body(context, builder, descriptor, (*argument_types, types.intp, types.intp), [*values, lo, hi])
    with builder.if_then(error, likely=False):  # only where bounds checks are compiled in
        builder.store(FLAG(1), failed)
    builder.ret_void()
    return task


def _launch(builder, task, slot, number, data):
    """Call the threading layer: it runs `task` `number` times, adding one to the (never followed) slot each time."""
    launcher = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [BYTES] * 5 + [INTP] * 3), "numba_parallel_for"
    )
    dimensions = cgutils.alloca_once_value(builder, number)
    step = cgutils.alloca_once_value(builder, INTP(1))
    pointers = [builder.bitcast(p, BYTES) for p in (task, slot, dimensions, step, data)]
    builder.call(launcher, [*pointers, INTP(0), INTP(1), number])
