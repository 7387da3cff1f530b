"""Measure fastnn beside other libraries: every library in a process of its own, taking turns on the same cores.

In one process their thread pools disturb each other (PyTorch measured 100 times slower beside ONNX Runtime). A worker
gets a case, builds it, runs it once and answers with a summary of its results, which are verified before anything is
timed. Then the workers take turns, round after round, so that a slow minute of the machine is slow for all of them.

A benchmark module `bench.bench_<stem>` offers:

    CASES: list[Case]
    LIBRARIES: tuple[str, ...]                       the peers, besides fastnn
    build(library, case, threads) -> {variant: Calls}    runs in the worker; may raise Unsupported
    verify(case, summaries) -> {implementation: complaint}    runs in the parent
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from bench import machine

THREAD_VARIABLES = (
    "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
)  # fmt: skip
TURN = 0.03  # seconds that one turn of one implementation takes at least, if a call is not longer
PATIENCE = 2.5  # seconds after which a row has to do with three rounds
HOPELESS = 5  # times slower than the fastest: two turns are enough to know, if calls are long


class Unsupported(Exception):
    """Raised where a library has nothing to run for a case."""


@dataclass(frozen=True)
class Case:
    """One row of a table.

    work: floating-point operations (unit "flop"), bytes that have to be moved (unit "byte"; within `footprint` bytes
    of memory, which its traffic says how to pass: "read", "copy" or "update"), or calls (unit "call").
    bars: what is to be reached: "peak" (share of the limit), "seconds" (or less), or a library's name (how many times
    faster than it); with "@2" behind, on that many threads only. short: belongs to the selection that is measured by
    default.
    """

    stem: str
    group: str
    name: str
    params: dict
    work: float = 1.0
    unit: str = "call"
    footprint: int = 0
    dtype: str = "float32"
    bars: dict = field(default_factory=dict)
    short: bool = True
    traffic: str = "read"


@dataclass
class Calls:
    """What a worker times: calls to make in turn (each with other inputs) and figures that tell if they are right."""

    calls: Sequence[Callable[[], object]]
    summary: list[float]


class Worker:
    """A process that runs one library with a fixed number of threads."""

    def __init__(self, library: str, threads: int):
        self.library = library
        saved = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        try:
            context = multiprocessing.get_context("spawn")
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, library, threads), daemon=True)
            self.process.start()
        finally:
            for name, value in saved.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    def ask(self, *message):
        """Send a message and return the answer. Raises RuntimeError with the worker's complaint."""
        try:
            self.pipe.send(message)
            good, answer = self.pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise RuntimeError(f"the process died with exit code {self.process.exitcode}") from None
        if not good:
            raise RuntimeError(answer)
        return answer

    @contextlib.contextmanager
    def awake(self):
        """Let a suspended worker run, and suspend it again: idle threads may spin for long (ONNX Runtime's, 40 ms)."""
        self._signal("SIGCONT")
        try:
            yield self
        finally:
            self._signal("SIGSTOP")

    def _signal(self, name):
        if hasattr(signal, name) and self.process.is_alive():
            os.kill(self.process.pid, getattr(signal, name))

    def close(self):
        self.process.kill()
        self.process.join()


def _serve(pipe, library, threads):
    """Answer the parent's messages until it hangs up."""
    if hasattr(os, "sched_setaffinity"):  # some libraries take their number of threads from nowhere else
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    built = {}
    while True:
        try:
            what, *args = pipe.recv()
        except EOFError:
            return
        try:
            if what == "build":
                built.clear()
                module, case = args
                built.update(importlib.import_module(module).build(library, case, threads))
                answer = {name: calls.summary for name, calls in built.items()}
            else:
                answer = _turn(built[args[0]].calls)
        except Unsupported:
            pipe.send((True, {}))
        except Exception as error:
            pipe.send((False, f"{type(error).__name__}: {str(error)[:300]}"))
        else:
            pipe.send((True, answer))


def _turn(calls) -> list[float]:
    """Return the seconds per call of a few batches, together at least TURN seconds long."""
    clock, times, repeat = time.perf_counter, [], 1
    start = clock()
    for call in calls:  # warm up again after the others' turns, which does not matter to long calls
        call()
    if clock() - start > 2 * TURN * len(calls):
        return [(clock() - start) / len(calls)]
    end = clock() + TURN
    while clock() < end or len(times) < 2:
        start = clock()
        for _ in range(repeat):
            for call in calls:
                call()
        elapsed = clock() - start
        if elapsed < TURN / 10 and repeat < 1 << 16:
            repeat *= 4
            continue
        times.append(elapsed / repeat / len(calls))
        if elapsed > TURN and len(times) >= 1:
            break
    return times


class Limits:
    """The machine's limits by number of threads, each the best figure seen so far in the run."""

    def __init__(self):
        self.best: dict[tuple, float] = {}  # (unit, traffic, threads, footprint) -> per second

    def see(self, case: Case, threads: int) -> float | None:
        """Measure the limit that bounds a case, and return the best of all measurements of it, per second."""
        if case.unit == "flop":
            value = machine.fma_peak(threads, 0.01)
        elif case.unit == "byte":
            value = machine.BANDWIDTH[case.traffic](case.footprint, threads, 0.01)
        else:
            return None
        key = case.unit, case.traffic, threads, case.footprint
        self.best[key] = max(value, self.best.get(key, 0.0))
        return self.of({**asdict(case), "threads": threads})

    def of(self, row: dict) -> float | None:
        """Return a row's limit: what was reached on as much memory or more, since less of it is never slower."""
        kind, footprint = (row["unit"], row["traffic"], row["threads"]), row["footprint"]
        found = [value for (*known, size), value in self.best.items() if tuple(known) == kind and size >= footprint]
        if not found:
            return None
        return max(found) / (2 if row["unit"] == "flop" and row["dtype"] == "float64" else 1)


def run(stems, threads: Sequence[int], libraries: Sequence[str], rounds: int, only: str, everything: bool, say) -> list:
    """Measure the short selection, or everything, of the given stems and return one dictionary per row."""
    limits, rows = Limits(), []
    for stem in stems:
        module = importlib.import_module(f"bench.bench_{stem}")
        wanted = ["fastnn", *(name for name in module.LIBRARIES if name in libraries)]
        cases = [case for case in module.CASES if case.short or everything]
        cases = [case for case in cases if only in f"{case.group} {case.name} {case.dtype}"]
        for count in threads:
            workers = [Worker(library, count) for library in wanted] if cases else []
            try:
                for case in cases:
                    rows.append(measure(module, case, count, workers, rounds, limits))
                    say(rows[-1])
            finally:
                for worker in workers:
                    worker.close()
    for row in rows:  # a better look at the machine may have come later in the run
        row["limit"] = limits.of(row)
    return rows


def measure(module, case: Case, threads: int, workers: Sequence[Worker], rounds: int, limits: Limits) -> dict:
    """Build, verify and time one case on all workers."""
    summaries, failed, turns = {}, {}, []
    for worker in workers:
        try:
            with worker.awake():
                answer = worker.ask("build", module.__name__, case)
        except RuntimeError as complaint:
            failed[worker.library] = str(complaint)
            continue
        for variant, summary in answer.items():
            name = f"{worker.library} {variant}".strip()
            summaries[name] = summary
            turns.append((name, worker, variant))
    failed.update(module.verify(case, summaries))
    times: dict[str, list[list[float]]] = {name: [] for name, _, _ in turns if name not in failed}
    limit, start = None, time.perf_counter()
    for number in range(rounds):
        if number >= 3 and time.perf_counter() - start > PATIENCE:
            break
        limit = limits.see(case, threads)
        fastest = min((min(map(min, values)) for values in times.values() if values), default=0.0)
        shift = number % max(len(turns), 1)
        for name, worker, variant in turns[shift:] + turns[:shift]:
            if name in failed or number >= 2 and min(map(min, times[name])) > max(HOPELESS * fastest, TURN):
                continue
            try:
                with worker.awake():
                    times[name].append(worker.ask("turn", variant))
            except RuntimeError as complaint:
                failed[name] = str(complaint)
                del times[name]
    figures = {
        name: {
            "best": min(map(min, values)),
            "median": statistics.median(map(min, values)),
            "calls": sum(map(len, values)),
        }
        for name, values in times.items()
        if values
    }
    return {**asdict(case), "threads": threads, "limit": limit, "times": figures, "failed": failed}
