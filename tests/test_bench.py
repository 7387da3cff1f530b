"""The bench: workers answer, wrong results are refused, tables show losses as plainly as wins."""

import importlib
import json
import os
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import bench_conv, bench_matmul, bench_pool, bench_resize, harness, layers, machine, report


def row(**times):
    made = {name.replace("_", " "): {"best": t, "median": t, "calls": 9} for name, t in times.items()}
    case = bench_matmul.CASES[0]
    return {**harness.asdict(case), "threads": 1, "limit": 1e11, "times": made, "failed": {}}


def test_losses_are_bold():
    one = row(fastnn=1.0, numpy=2.0, torch=0.8, torch_linear=0.5)
    text = report.table({"rows": [one]})
    assert " 2.00 |" in text and "**0.50**" in text, "a library's fastest variant counts"
    assert report.share(one) == pytest.approx(one["work"] / 1e11)
    assert any(line.startswith("torch 0.5") for line in report.missed(one))


def test_prepacked_peers_meet_prepacked_weights():
    one = row(fastnn=1.0, fastnn_prepared=0.5, onnxruntime=0.8, numpy=0.8)
    assert report.ratio(one, "onnxruntime") == pytest.approx(1.6)
    assert report.ratio(one, "numpy") == pytest.approx(0.8)


def test_prepacked_variants_are_peers_of_their_own():
    one = row(
        **{"fastnn": 1.0, "fastnn channels_last": 0.9, "fastnn prepared": 0.8, "torch prepacked channels_last": 0.6}
    )
    assert report.ratio(one, "torch") is None
    assert report.ratio(one, "torch prepacked") == pytest.approx(0.75)
    assert report.rival(one) == (pytest.approx(0.75), "torch prepacked")
    text = report.table({"rows": [one]})
    assert "| channels last | prepared | limit |" in text
    assert "slower than the fastest peer" in text.lower() and "0.75 of PyTorch, prepacked's speed" in text


def test_of_several_runs_each_side_has_its_best():
    first, second = row(fastnn=1.0, torch=0.8, jax=2.0), row(fastnn=1.1, torch=0.5)
    first["failed"], second["limit"] = {"torch linear": "died"}, 2e11
    other = row(fastnn=3.0) | {"threads": 2}
    both, alone = report.joined([{"rows": [first, other]}, {"rows": [second]}])["rows"]
    assert {name: times["best"] for name, times in both["times"].items()} == {"fastnn": 1.0, "torch": 0.5, "jax": 2.0}
    assert both["failed"] == {} and both["limit"] == 2e11 and alone == other
    assert first["times"]["torch"]["best"] == 0.8


def test_the_table_of_the_readme_is_made_from_the_same_figures(monkeypatch):
    one = row(fastnn=1.0, torch=0.8)
    monkeypatch.setattr(report, "README", [("matmul", 1, report.title(one)[:20])])
    result = {"cpu": "CPU", "cores": 2, "date": "2026-01-01 00:00:00", "rows": [one]}
    text = report.readme(result, f"before {report.MARKERS[0]} old {report.MARKERS[1]} after")
    assert "old" not in text and text.startswith("before") and text.endswith("after") and "**0.80** |" in text
    assert report.readme(result, text) == text
    with pytest.raises(SystemExit, match="not measured"):
        report.readme(result | {"rows": []}, text)


def test_the_readme_has_the_markers_and_shows_rows_that_are_measured():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    assert text.index(report.MARKERS[0]) < text.index(report.MARKERS[1])
    for stem, _, name in report.README:
        cases = importlib.import_module(f"bench.bench_{stem}").CASES
        assert any(f"{case.group} {case.name}".startswith(name) and case.short for case in cases), name


def test_layers_of_real_networks():
    rows = {
        (str(layer), direction): (layer, short) for layer, direction, short in layers.table("conv", ("dx", "dweight"))
    }
    stem, short = rows["ResNet 7x7 /2 3-64 @224, batch 1", "forward"]
    assert short and stem.w == (64, 3, 7, 7) and stem.y == (1, 64, 112, 112)
    assert stem.flop == 2 * 64 * 3 * 49 * 112 * 112
    assert rows["MobileNet-v2 3x3 /2 144 @56, batch 32", "dx"][0].w == (144, 1, 3, 3)
    generator, _ = rows["DCGAN 4x4 /2 512-256 @8, batch 1", "forward"]
    assert generator.w == (512, 256, 4, 4) and generator.y == (1, 256, 16, 16)
    assert generator.flop == 2 * 512 * 256 * 16 * 64
    assert ("DeepLab 3x3 dilated 4 512-512 @28, batch 8", "dweight") in rows
    chosen = [short for _, short in rows.values()]
    assert 50 < sum(chosen) < len(chosen) / 2


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (bench_conv, "small images LeNet 3x3 64-64 @7, batch 64"),
        (bench_conv, "dweight LeNet 5x5 1-6 @32, batch 64"),
        (bench_pool, "avg backward LeNet 2x2 /2 6 @28, batch 64"),
        (bench_pool, "max forward VGG-16 2x2 /2 512 @14, batch 1"),
        (bench_resize, "interpolation backward ESPCN bicubic 255 3 @85, batch 1"),
        (bench_resize, "places forward SegNet max unpool 2 512 @14, batch 1"),
    ],
)
def test_layers_are_checked_before_they_are_timed(module, name):
    case = next(case for case in module.CASES if f"{case.group} {case.name}" == name)
    made = module.build("fastnn", case, 1)
    summaries = {variant: calls.summary for variant, calls in made.items()}
    assert set(summaries) >= {"", "channels_last"} and module.verify(case, summaries) == {}
    wrong = [value + 0.1 for value in made[""].summary]
    assert set(module.verify(case, {"fastnn": wrong, "torch": []})) == {"fastnn", "torch"}


def test_wrong_results_are_not_timed():
    complaints = bench_matmul.verify(None, {"fastnn": [0.4], "numpy": [9.0], "jax": [float("nan")]})
    assert set(complaints) == {"numpy", "jax"}


def test_a_run_from_the_command_line(tmp_path, capsys):
    target = tmp_path / "result.json"
    arguments = ["matmul", "--only", "8x8x8", "--threads", "1", "--peers", "numpy", "--rounds", "2"]
    assert command.main([*arguments, "--json", str(target)]) == 0
    (only,) = json.loads(target.read_text())["rows"]
    assert not only["failed"] and only["times"]["fastnn"]["best"] > 0 and "numpy" in only["times"]
    assert "call 8x8x8" in capsys.readouterr().out
    report.main([str(target), str(tmp_path / "docs")])
    assert "benchmarks/matmul-1.png" in (tmp_path / "docs" / "benchmarks.md").read_text()
    assert (tmp_path / "docs" / "benchmarks" / "matmul-1.png").stat().st_size > 5000
    with pytest.raises(SystemExit):
        command.main(["no-such-stem"])
    assert "no such benchmark" in capsys.readouterr().err


def test_a_dead_worker_is_reported(monkeypatch):
    worker = harness.Worker("numpy", 1)
    worker.process.kill()
    with pytest.raises(RuntimeError, match="the process died"), worker.awake():
        worker.ask("turn", "")
    worker.close()


def test_a_worker_sleeps_while_others_have_their_turn():
    worker = harness.Worker("numpy", 1)
    case = next(case for case in bench_matmul.CASES if case.name == "8x8x8")
    with worker.awake():
        worker.ask("build", "bench.bench_matmul", case)
    worker.pipe.send(("turn", ""))
    assert not worker.pipe.poll(0.2)
    with worker.awake():
        assert worker.pipe.poll(None)
    worker.close()


def test_limits_of_the_machine():
    """What they are is the benchmark's business: they depend on the clock."""
    for rate in (
        machine.fma_peak(1, 0.005),
        machine.read_bandwidth(16 << 10, 1, 0.005),
        machine.copy_bandwidth(1 << 20, 1, 0.005),
        machine.update_bandwidth(1 << 20, 1, 0.005),
    ):
        assert 0 < rate < float("inf")


def test_limits_are_those_of_their_traffic():
    """The best of what was seen on as much memory or more, in the same way; half the operations in float64."""
    limits = harness.Limits()
    limits.best = {
        ("byte", "copy", 1, 100): 3.0,
        ("byte", "copy", 1, 1000): 5.0,
        ("byte", "read", 1, 100): 7.0,
        ("flop", "read", 1, 0): 8.0,
    }
    row = {"unit": "byte", "traffic": "copy", "threads": 1, "footprint": 100, "dtype": "float64"}
    assert limits.of(row) == 5.0
    assert limits.of(row | {"traffic": "read"}) == 7.0
    assert limits.of(row | {"footprint": 2000}) is None
    assert limits.of(row | {"threads": 2}) is None
    assert limits.of(row | {"unit": "flop", "traffic": "read", "footprint": 0}) == 4.0


def test_parent_environment_is_left_alone():
    before = dict(os.environ)
    harness.Worker("numpy", 3).close()
    assert dict(os.environ) == before
