"""The same cases under pytest-benchmark, for fastnn alone: `pytest bench --benchmark-only`, with its own options.

To compare two states of the code: `--benchmark-autosave` before, `--benchmark-compare` after. Other libraries need
processes of their own; `python -m bench` runs those.
"""

from importlib import import_module
from itertools import cycle
from pathlib import Path

import pytest

from bench.harness import Unsupported
from fastnn_kernels import threads

STEMS = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
CASES = [(stem, case) for stem in STEMS for case in import_module(f"bench.{stem}").CASES if case.short]


@pytest.mark.parametrize("count", [1, 2], ids=["1 thread", "2 threads"])
@pytest.mark.parametrize(("stem", "case"), CASES, ids=[f"{s}: {c.group} {c.name} {c.dtype}" for s, c in CASES])
def test_speed(benchmark, stem, case, count):
    module = import_module(f"bench.{stem}")
    benchmark.group = f"{stem} {case.group} {case.name}"
    with threads(count):
        try:
            variants = module.build("fastnn", case, count)
        except Unsupported as reason:
            pytest.skip(str(reason))
        complaints = module.verify(case, {f"fastnn {name}": made.summary for name, made in variants.items()})
        assert not complaints
        plain = variants.get("") or next(iter(variants.values()))
        calls = cycle(plain.calls)
        benchmark(lambda: next(calls)())
