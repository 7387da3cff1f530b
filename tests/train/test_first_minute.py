"""What a person is told while kernels are compiled, and that compiling ahead changes nothing."""

import os
import subprocess
import sys
import types

import numba.core.event as event
import numpy as np
import pytest

import fastnn
from fastnn import functional as F
from fastnn import nn, optim
from fastnn.data import Shift
from fastnn.train import compiling, fit
from fastnn.train.progress import Progress, bar_class, in_notebook

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((48, 1, 8, 8)).astype(np.float32), rng.integers(0, 3, 48)


def net():
    fastnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, 3)
    )


class Compiled:
    """A loss at whose first call a kernel seems to be compiled, for a second."""

    def __init__(self, monkeypatch):
        self.calls, self.clock = 0, 0.0
        monkeypatch.setattr(compiling.time, "perf_counter", lambda: self.clock)

    def __call__(self, output, target):
        self.calls += 1
        self.clock += 0.001
        if self.calls == 1:
            kernel = types.SimpleNamespace(py_func=types.SimpleNamespace(__name__="relu__vector"))
            with event.trigger_event("numba:compile", data={"dispatcher": kernel}):
                with event.trigger_event("numba:compile", data={"dispatcher": kernel}):
                    self.clock += 1.0
        return F.cross_entropy(output, target)


def test_a_log_says_what_is_compiled(monkeypatch, capsys):
    model, loss = net(), Compiled(monkeypatch)
    fit(model, (X, Y), loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=2, batch_size=16)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("compiling the kernels that are needed here for the first time")
    assert "(1.0 s of it compiled 1 kernel)" in lines[1] and "compiled" not in lines[2]
    seconds, rate = 1.003, 32 / 0.002  # without the first batch
    assert f"{seconds:.2f} s" in lines[1] and f"{rate:,.0f} samples/s" in lines[1]


def test_a_bar_leaves_compiling_out_of_its_rate(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = Progress(2, 100, 0, True)
    start, last = bar.bar.start_t, bar.bar.last_print_t
    bar.compiling("relu__vector", True)
    assert "compiling relu__vector" in str(bar.bar)
    bar.forget_compiling(3.0)
    bar.forget_compiling(3.0)
    bar.forget_compiling(5.0)
    assert bar.bar.start_t == start + 5 and bar.bar.last_print_t == last + 5
    bar.close()


def test_notebooks_have_a_bar(monkeypatch):
    assert not in_notebook()
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() and bar_class().__name__.startswith("tqdm")
    bar = Progress(1, 10, 0, True)
    assert bar.bar is not None
    bar.close()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: object()))  # a terminal
    assert not in_notebook()


@pytest.mark.parametrize("options", [{}, {"transform": Shift(1)}, {"validation_split": 0.25}])
def test_compiling_ahead_changes_nothing(options, monkeypatch):
    """The same bits with and without the dry step: weights, statistics, random numbers, gradients."""
    results = []
    for ahead in (True, False):
        monkeypatch.setattr(compiling, "_known", set())
        steps = []
        step = compiling.compile_step if ahead else lambda *arguments: None
        monkeypatch.setattr("fastnn.train.loop.compile_step", lambda *a, step=step, steps=steps: steps.append(step(*a)))
        model = net()
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        history = fit(model, (X, Y), loss=F.cross_entropy, optimizer=optimizer, epochs=2, progress=False, **options)
        assert len(steps) == 2
        state = {name: np.asarray(value).tobytes() for name, value in model.state_dict().items()}
        results.append((history["loss"], state, fastnn.random.get_state()))
    assert results[0] == results[1]


def test_the_dry_step_comes_once_and_only_where_it_is_harmless(monkeypatch):
    runs = []
    monkeypatch.setattr(compiling, "_known", set())
    monkeypatch.setattr(compiling.kernels, "compile_kernels", lambda wanted, tell: runs.append(len(wanted)))
    for _ in range(2):
        model = net()
        fit(model, (X, Y), loss=F.cross_entropy, optimizer=optim.SGD(model.parameters(), lr=0.1), progress=False)
    assert len(runs) == 1 and runs[0] > 3

    class Own(nn.Sequential):
        def forward(self, x):
            return super().forward(x)

    model = Own(*net())
    fit(model, (X, Y), loss=F.cross_entropy, optimizer=optim.SGD(model.parameters(), lr=0.1), progress=False)
    assert len(runs) == 1


def test_a_step_that_cannot_run_dry_runs_as_ever(monkeypatch):
    monkeypatch.setattr(compiling, "_known", set())

    def fail(*arguments):
        raise RuntimeError("not dry")

    monkeypatch.setattr(compiling, "dry_run", fail)
    model = net()
    fit(model, (X, Y), loss=F.cross_entropy, optimizer=optim.SGD(model.parameters(), lr=0.1), progress=False)


SUMMARY = """
import numba.core.event as event
with event.install_recorder("numba:compile") as record:
    from fastnn import nn
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    model = nn.Sequential(*layers)
    print(model.summary((2, 3, 4, 4)))
assert not record.buffer
"""


def test_a_summary_compiles_nothing(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SUMMARY], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(2, 8, 2, 2)" in done.stdout and "(2, 3)" in done.stdout


def test_a_summary_of_a_model_that_looks_at_its_numbers():
    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            y = self.layer(x)
            if float(y.sum()) == 0:
                raise RuntimeError("zeros")
            return y

    model = Looking()
    before = fastnn.random.get_state()
    summary = model.summary((1, 2))
    assert [row.name for row in summary.rows] == ["layer"] and fastnn.random.get_state() == before


def test_a_summary_leaves_packed_weights_alone():
    model = nn.Linear(16, 4).eval()
    x = np.ones((8, 16), np.float32)
    with fastnn.no_grad():
        expected = [np.asarray(model(x)) for _ in range(3)][-1]
        for _ in range(2):
            model.summary((8, 16))
            np.testing.assert_array_equal(np.asarray(model(x)), expected)
