"""Dry runs compute nothing and change nothing; what they would have launched is compiled by several processes."""

import os
import subprocess
import sys
import threading

import numba.core.event as event
import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground import ahead
from fastnn_kernels.ground.operation import operations

X = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 16)).astype(np.float32)


def calls():
    y = kernels.relu(kernels.linear(X, W))
    return [
        y,
        kernels.softmax(y),
        kernels.sum(y.astype(np.float64), axis=0),
        kernels.add(y, y[0]),
        kernels.matmul(X, kernels.prepare_matmul(W.T)),
        kernels.cross_entropy(y, np.arange(8) % 4),
    ]


def test_shapes_without_numbers():
    expected = calls()
    with event.install_recorder("numba:compile") as record, kernels.dry_run() as dry:
        found = calls()
    assert not record.buffer
    for a, b in zip(found, expected, strict=True):
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        assert not np.any(a)
    names = [kernel.__name__ for kernel, _ in dry.kernels]
    assert len(names) == len(set(dry.kernels)) and any(name.startswith("linear__") for name in names)
    for a, b in zip(calls(), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_finds_plans_is_put_back():
    calls()
    found = operations().values()
    with kernels.dry_run():
        calls()
        with kernels.dry_run():  # one in another
            calls()
        assert not np.any(kernels.linear(X, W))
    assert all("general" not in getattr(vars(each).get("find"), "__name__", "") for each in found)
    assert np.any(kernels.linear(X, W))
    with pytest.raises(RuntimeError), kernels.dry_run():
        raise RuntimeError
    assert np.any(kernels.linear(X, W))


def test_errors_are_the_same():
    with kernels.dry_run(), pytest.raises(ValueError, match="linear: "):
        kernels.linear(X, W[:, :3])


def test_other_threads_compute():
    expected, found = calls(), []
    with kernels.dry_run():
        thread = threading.Thread(target=lambda: found.extend(calls()))
        thread.start()
        thread.join()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_kept_in_prepared_operands():
    packed = kernels.prepare_matmul(W.T)
    with kernels.dry_run():
        kernels.matmul(X, packed)
    np.testing.assert_allclose(kernels.matmul(X, packed), X @ W.T, rtol=1e-5, atol=1e-5)


COMPILE = """
import numpy as np
import fastnn_kernels as kernels
from fastnn_kernels.ground.ahead import is_compiled

x = np.ones((4, 100), np.float32)
with kernels.dry_run() as dry:
    kernels.relu(x)
    kernels.sum(x)
    kernels.argmax(x, 1)
    kernels.relu(x.astype(np.float64))
assert len(dry.kernels) >= 4
told = []
names = kernels.compile_kernels(dry.kernels, {processes}, told.append)
assert sorted(told) == sorted(names), (told, names)
assert all(is_compiled(*each) and (not names or each[1] in each[0]) for each in dry.kernels)
assert kernels.relu(x).sum() == 400
print(len(names))
"""


def run(folder, processes, **more):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)} | more
    code = COMPILE.format(processes=processes)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_two_processes_compile_once(tmp_path):
    assert run(tmp_path, 2) >= 4
    assert run(tmp_path, 2) == 0, "the next process finds everything on disk"


@pytest.mark.parametrize("command", [["/nowhere/python"], [sys.executable, "-c", "raise SystemExit(1)"]])
def test_helpers_that_fail_do_no_harm(command, monkeypatch):
    monkeypatch.setattr(ahead, "COMMAND", command)
    monkeypatch.setattr(ahead, "is_compiled", lambda kernel, dtype: False)
    with kernels.dry_run() as dry:
        calls()
    assert len(kernels.compile_kernels(dry.kernels, 3)) == len(dry.kernels)


def test_helpers_need_a_python(monkeypatch):
    assert ahead._can_be_started()
    monkeypatch.setattr(sys, "executable", "/usr/bin/blender")
    assert not ahead._can_be_started()
    monkeypatch.setattr(sys, "executable", "")
    assert not ahead._can_be_started()


def test_the_helper():
    answers = []
    ahead.serve(["fastnn_kernels.cpu.softmax.kernels softmax__rows float32\n"], answers.append)
    assert answers == ["ready", "ready"]
    with pytest.raises(KeyError):
        ahead.serve(["fastnn_kernels no__kernel float32\n"], answers.append)
