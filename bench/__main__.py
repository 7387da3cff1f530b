"""`python -m bench`: measure, store the figures as JSON, print the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

from bench import harness, machine, report

STEMS = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
DISTRIBUTIONS = (
    "numpy",
    "numba",
    "llvmlite",
    "torch",
    "jax",
    "onnxruntime",
    "openvino",
    "ncnn",
    "scikit-learn",
    "scipy",
)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def available(libraries) -> list[str]:
    installed = {**versions(), "memory": ""}  # the last is fastnn itself, fed with what lies ready
    return [name for name in libraries if name.replace("sklearn", "scikit-learn") in installed]


def main(argv=None) -> int:
    """Parse the command line, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("stems", nargs="*", help=f"what to measure: {', '.join(STEMS)} (default: all)")
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1 and the number of cores")
    parser.add_argument("--peers", nargs="*", help="libraries to compare with (default: all that are installed)")
    parser.add_argument("--only", default="", help="only rows whose group, name and dtype contain this text")
    parser.add_argument("--all", action="store_true", help="all layers of all networks, not only the short selection")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every library in every row")
    parser.add_argument("--json", type=Path, help="where to store the figures (default: bench/results/DATE.json)")
    options = parser.parse_args(argv)
    unknown = set(options.stems) - set(STEMS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    peers = available(report.PEERS if options.peers is None else options.peers)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    rows = harness.run(
        options.stems or STEMS,
        options.threads or sorted({1, cores}),
        peers,
        options.rounds,
        options.only,
        options.all,
        lambda row: print(report.line(row), file=sys.stderr, flush=True),
    )
    result = {"cpu": machine.cpu_name(), "cores": cores, "date": started, "versions": versions(), "rows": rows}
    target = options.json or Path(__file__).parent / "results" / f"{started.replace(' ', '-').replace(':', '')}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1))
    print(report.table(result))
    print(f"figures: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
