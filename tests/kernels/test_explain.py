"""What `explain` and the list of operations tell."""

import subprocess
import sys

import numpy as np
import pytest

import fastnn_kernels as kernels


def test_launches_with_their_arguments():
    told = kernels.explain("linear", (40, 30), (20, 30), (20,), activation="relu")
    (launch,) = told.launches
    assert launch.kernel == "linear__small" and launch.tasks == 1 and told.workspace == 0
    assert launch.arguments[:4] == (
        "x = input (40, 30)",
        "w = weight (20, 30)",
        "bias = bias (20,)",
        "out = output (40, 20)",
    )
    assert "linear: 1 launch, 0 bytes of workspace" in str(told)


def test_workspace_is_counted():
    with kernels.threads(1):
        told = kernels.explain("matmul", (300, 400), (400, 500))
    assert told.workspace > 0 and any("workspace 1" in text for text in told.launches[0].arguments)
    assert told.threads == 1


def test_small_elementwise_calls_too():
    assert [launch.kernel for launch in kernels.explain("relu", (3, 4)).launches] == ["relu__vector"]


def test_dtype_and_arrays():
    told = kernels.explain("softmax", np.ones((3, 4)), dim=0)
    assert told.launches[0].kernel == "softmax__columns"
    assert "float64" in kernels.explain("matmul", (300, 400), (400, 500), dtype=np.float64).launches[0].arguments[4]


def test_nothing_is_left_behind():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    before = kernels.softmax(x), kernels.relu(x)
    kernels.explain("softmax", (3, 4)), kernels.explain("relu", (3, 4))
    for y, first in zip((kernels.softmax(x), kernels.relu(x)), before, strict=True):
        assert y.tobytes() == first.tobytes()


def test_wrong_calls():
    with pytest.raises(ValueError, match="explain: 'conv9d' is no operation"):
        kernels.explain("conv9d", (3, 4))
    with pytest.raises(ValueError, match="softmax: dim must be from"):
        kernels.explain("softmax", (3, 4), dim=5)


def test_the_list_of_operations():
    done = subprocess.run(
        [sys.executable, "-m", "fastnn_kernels", "operations"], check=True, capture_output=True, text=True
    )
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert "cpu" in rows["matmul"] and "blocked" in rows["matmul"] and "reference" in rows["matmul"]
    assert subprocess.run([sys.executable, "-m", "fastnn_kernels", "nonsense"], capture_output=True).returncode == 2
