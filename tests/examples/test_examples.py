"""Every example runs and reaches what its text promises.

Beside bounds on what training reaches stand the figures of five seeds; other vectors (AVX2, SSE) stay within them. A
bound lies below the worst by as much again as they spread, or more.
"""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_and_or_gates():
    right = load("and_or_gates").main()
    assert all(right[gate] == 4 for gate in ("AND", "OR", "NAND", "NOT", "XOR of two layers"))
    assert right["XOR"] < 4


def test_xor():
    assert load("xor").main() == {"one neuron": 2, "two layers": 4}


def test_logistic_neuron():
    reached = load("logistic_neuron").main()
    assert reached["accuracy"] > 0.94  # 0.970 (nothing is drawn)
    assert reached["difference"] < 1e-4


def test_gradient_descent(tmp_path):
    pytest.importorskip("matplotlib")
    left = load("gradient_descent").main(tmp_path / "paths.png")
    assert left["mini-batch"] < 0.1 < left["stochastic"] < 0.6 < left["batch"]
    assert (tmp_path / "paths.png").stat().st_size > 10_000


def test_optimizers(tmp_path):
    pytest.importorskip("matplotlib")
    left = load("optimizers").main(tmp_path / "optimizers.png")
    assert left["Beale"]["L-BFGS"] < 1e-5 and left["Rosenbrock"]["L-BFGS"] < 1e-3
    assert left["Beale"]["Adam"] < 1e-3 < left["Beale"]["SGD"]
    assert left["Rosenbrock"]["momentum"] < 0.1 < left["Rosenbrock"]["SGD"]
    assert (tmp_path / "optimizers.png").stat().st_size > 100_000


def test_activations(tmp_path):
    pytest.importorskip("matplotlib")
    left, losses = load("activations").main(tmp_path)
    assert left["sigmoid"].max() < 1e-6 and left["tanh"][[0, 2]].max() < 1e-80 and left["relu"].tolist() == [0, 0, 1]
    assert losses["ReLU"] > 2 and losses["LeakyReLU(0.1)"] < 0.01 and losses["PReLU"] < 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "activations.png",
        "dying_relu.png",
        "vanishing_gradient.png",
    ]


def test_one_vs_all(tmp_path):
    pytest.importorskip("matplotlib")
    right = load("one_vs_all").main(tmp_path / "one_vs_all.png", progress=False)
    assert right["one vs all"] > 0.86  # 0.882 to 0.885
    assert right["softmax"] > 0.87  # 0.885 to 0.893
    assert (tmp_path / "one_vs_all.png").stat().st_size > 50_000


def test_mnist_mlp():
    reached = load("mnist_mlp").main(progress=False)
    assert reached["classic"] > 0.86  # 0.893 to 0.906
    assert reached["modern"] > 0.89  # 0.907 to 0.915


def test_mnist_cnn(tmp_path):
    pytest.importorskip("matplotlib")
    # 0.955 to 0.966; 12 epochs: 0.975
    assert load("mnist_cnn").main(epochs=6, progress=False, folder=tmp_path) > 0.93
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.safetensors", "learning_curves.png"]


def test_convolution_by_hand(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("scipy")
    reached = load("convolution_by_hand").main(tmp_path / "filters.png")
    assert reached["narrow, stride 1"].tolist() == [[[4, 3, 4], [2, 4, 3], [2, 3, 4]]]
    assert reached["narrow, stride 2"].tolist() == [[[4, 4], [2, 4]]]
    assert reached["wide, stride 1"].shape == (1, 7, 7) and reached["three filters"].shape == (3, 3, 3)
    assert reached["difference"] < 1e-12
    assert (tmp_path / "filters.png").stat().st_size > 100_000


def test_regularisation(tmp_path):
    pytest.importorskip("matplotlib")
    reached = load("regularisation").main(tmp_path / "remedies.png")
    new = {name: figures["new"] for name, figures in reached.items()}
    assert reached["nothing"]["known"] > 0.99 and new["nothing"] < 0.77  # 1.0 and 0.719 to 0.738
    gains = {
        "L1": -0.05,  # -0.016 to 0.001
        "L2": 0.01,  # 0.038 to 0.063
        "dropout": 0.04,  # 0.071 to 0.086
        "early stopping": 0.02,  # 0.045 to 0.059
        "augmentation": 0.1,  # 0.151 to 0.170
    }
    for name, gain in gains.items():
        assert new[name] > new["nothing"] + gain, name
    assert reached["L1"]["zeros"] > 0.85 > 0.4 > reached["L2"]["zeros"]  # 0.934 to 0.947, 0.169 to 0.173
    assert (tmp_path / "remedies.png").stat().st_size > 50_000


def test_every_example_has_a_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in FOLDER.glob("*.py")} <= tested
