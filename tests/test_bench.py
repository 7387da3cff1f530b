"""The bench: workers answer, wrong results are refused, tables show losses as plainly as wins."""

import json
import os

import pytest

from bench import __main__ as command
from bench import bench_matmul, harness, machine, report


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


def test_wrong_results_are_not_timed():
    complaints = bench_matmul.verify(None, {"fastnn": [0.4], "numpy": [9.0], "jax": [float("nan")]})
    assert set(complaints) == {"numpy", "jax"}


def test_a_run_from_the_command_line(tmp_path, capsys):
    target = tmp_path / "result.json"
    arguments = ["matmul", "--only", "8x8x8", "--threads", "1", "--peers", "numpy", "--rounds", "2"]
    assert command.main([*arguments, "--json", str(target)]) == 0
    (only,) = json.loads(target.read_text())["rows"]
    assert not only["failed"] and 1e-8 < only["times"]["fastnn"]["best"] < 1e-3 and "numpy" in only["times"]
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
    with pytest.raises(RuntimeError, match="the process died"):
        worker.ask("turn", "")
    worker.close()


def test_limits_of_the_machine():
    """A multiply-add per lane and cycle at a gigahertz is the least a vector unit does; caches beat memory."""
    assert machine.fma_peak(1, 0.005) > 1e9 * machine.lanes()
    assert machine.read_bandwidth(16 << 10, 1, 0.005) > 1e9
    assert machine.copy_bandwidth(1 << 20, 1, 0.005) > 1e8


def test_parent_environment_is_left_alone():
    before = dict(os.environ)
    harness.Worker("numpy", 3).close()
    assert dict(os.environ) == before
