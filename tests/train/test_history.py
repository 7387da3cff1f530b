"""The record of a run, and the pictures drawn from it."""

import math
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.data import make_moons
from fastnn.train import History, plots


@pytest.fixture
def history():
    record = History()
    for loss in (1.0, 0.1, 0.01):
        record.append({"loss": loss, "accuracy": 1 - loss / 2, "val_loss": loss, "val_accuracy": 0.9, "seconds": 1.0})
    return record


def test_columns_and_table(history):
    assert history["loss"] == [1.0, 0.1, 0.01] and len(history) == 3 and history.last["accuracy"] == 0.995
    assert str(history).splitlines()[0].split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert len(str(history).splitlines()) == 4
    with pytest.raises(KeyError, match="no column 'lost'; there are loss, accuracy"):
        history["lost"]


def test_a_late_column_is_filled_up():
    record = History()
    record.append({"loss": 1.0})
    record.append({"loss": 0.5, "val_loss": 0.7})
    record.append({"loss": 0.4})
    assert math.isnan(record["val_loss"][0]) and record["val_loss"][1] == 0.7 and math.isnan(record["val_loss"][2])


def is_picture(path):
    """Say whether a PNG of a decent size, and not of one colour, was written."""
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    image = imread(path)
    return image.shape[0] > 200 and image.shape[1] > 200 and image[..., :3].std() > 0.02


def test_pictures(history, tmp_path):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    target, output = rng.integers(0, 3, 60), rng.standard_normal((60, 3))
    history.plot(tmp_path / "curves.png")
    plots.plot_confusion(np.array([[5, 1], [0, 4]]), tmp_path / "new folder" / "confusion.png", names=["cat", "dog"])
    plots.plot_filters(rng.standard_normal((7, 1, 5, 5)), tmp_path / "filters.png")
    plots.plot_filters(rng.standard_normal((16, 3, 5, 5)), tmp_path / "colour.png")
    plots.plot_misread(rng.random((60, 1, 8, 8)), target, output, tmp_path / "misread.png", limit=11)
    for name in ("curves.png", "new folder/confusion.png", "filters.png", "colour.png", "misread.png"):
        assert is_picture(tmp_path / name), name


def test_pictures_of_nothing(tmp_path):
    pytest.importorskip("matplotlib")
    empty = History().plot(tmp_path / "empty.png")
    assert [text.get_text() for text in empty.axes[0].texts] == ["no epoch was finished"]
    one = History({name: [0.5] for name in ("loss", "val_loss", "lr1", "r2", "mae", "f1", "top5", "seconds")})
    assert [axes.get_title() for axes in one.plot(tmp_path / "one.png").axes] == [
        "loss", "r2", "mae", "f1 in %", "top5 in %",
    ]  # fmt: skip
    plots.plot_misread(np.zeros((2, 1, 8, 8)), np.array([0, 1]), np.eye(2), tmp_path / "perfect.png")
    plots.plot_confusion(np.zeros((3, 3), int), tmp_path / "zeros.png")
    for matrix, names, message in (([[1, 2]], None, "expected a square matrix"), (np.eye(2), ["a"], "2 classes need")):
        with pytest.raises(ValueError, match=message):
            plots.plot_confusion(matrix, names=names)
    wide = plots.plot_confusion(np.eye(2, dtype=int) * 10**7, tmp_path / "wide.png", names=["a rather long name", "b"])
    wide.draw_without_rendering()
    texts = [*wide.axes[0].get_xticklabels(), wide._suptitle]
    boxes = [text.get_window_extent() for text in texts]
    assert not boxes[0].overlaps(boxes[1]) and all(0 <= box.x0 and box.x1 <= wide.bbox.x1 for box in boxes)


def test_text_on_light_cells_is_dark():
    axes = plots.plot_confusion(np.array([[9, 1], [8, 2]])).axes[0]
    colors = {text.get_text(): text.get_color() for text in axes.texts}
    assert colors["9"] == "white" != colors["2"] == colors["8"]


def test_an_unknown_column_has_no_best_epoch(history):
    with pytest.raises(KeyError, match="no column 'accuracyy'"):
        history.best("accuracyy")


def test_filters_of_a_layer():
    assert plots.plot_filters(nn.Conv2d(1, 4, 3)).get_suptitle() == "4 filters of 3 x 3"


def test_filters_need_a_convolution():
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        plots.plot_filters(np.zeros((3, 4)))


def test_matplotlib_is_not_imported_before_it_is_needed():
    code = "import sys, fastnn.train; assert 'matplotlib' not in sys.modules and 'tqdm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- pictures of what a network sees and has learned


@pytest.fixture
def net():
    fastnn.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4))


def test_feature_maps(net, tmp_path):
    pytest.importorskip("matplotlib")
    image = np.random.default_rng(0).random((1, 8, 8))
    figure = plots.plot_feature_maps(net, image, tmp_path / "all.png")
    assert is_picture(tmp_path / "all.png")
    labels = [axes.get_ylabel().split("\n")[0] for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["input", "0 Conv2d", "1 ReLU", "2 MaxPool2d"] and net.training
    shown = figure.axes[3].images[0].get_array()
    np.testing.assert_array_equal(shown, np.asarray(net[0](image[None].astype(np.float32)))[0, 0])
    figure = plots.plot_feature_maps(net, image, tmp_path / "one.png", layers=["1"], limit=2)
    assert len(figure.axes) == 4
    with pytest.raises(ValueError, match="no layer 9; there are , 0, 1"):
        plots.plot_feature_maps(net, image, layers=["9"])
    with pytest.raises(ValueError, match=r"one image \(C, H, W\), got shape \(8, 8\)"):
        plots.plot_feature_maps(net, image[0])
    with pytest.raises(ValueError, match="no layer of this model gives maps"):
        plots.plot_feature_maps(nn.Sequential(nn.Flatten()), image)


def test_embedding(tmp_path):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, 100)
    features = 5 * np.eye(12)[labels] + rng.standard_normal((100, 12))
    figure = plots.plot_embedding(features, labels, tmp_path / "many.png")
    assert is_picture(tmp_path / "many.png") and "of the variance" in figure.axes[0].get_xlabel()
    points = np.concatenate([part.get_offsets() for part in figure.axes[0].collections])
    assert len(points) == 100 and points[:, 0].std() > points[:, 1].std() > features.std(0).max()
    figure = plots.plot_embedding(features[:, :2], path=tmp_path / "plain.png")
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), features[:, :2])
    with pytest.raises(ValueError, match=r"features \(N, D\) with D of at least 2, got shape \(100, 1\)"):
        plots.plot_embedding(features[:, :1])
    with pytest.raises(ValueError, match=r"100 samples need as many labels, got \(3,\)"):
        plots.plot_embedding(features, labels[:3])


def test_decision_boundary(tmp_path):
    pytest.importorskip("matplotlib")
    x, y = make_moons(100, noise=0.0)
    line, yes, three = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()), nn.Linear(2, 3)
    line.load_state_dict({"weight": [[-1.0, 0], [1, 0]], "bias": [0.5, -0.5]})  # right of 0.5 is class 1
    path = tmp_path / "moons.png"
    figure = plots.plot_decision_boundary([line, yes, three], x, y, path, titles=["a", "b", "c"], steps=50)
    assert is_picture(path) and len(figure.axes) == 3
    right = np.mean((x[:, 0] > 0.5) == y)
    assert figure.axes[0].get_title() == f"a: {right:.1%} right"
    shade = figure.axes[0].images[0].get_array()
    assert shade[25, 2, 2] > shade[25, 2, 0] and shade[25, -2, 0] > shade[25, -2, 2]  # blue to the left, then orange
    plots.plot_decision_boundary(line, x, y, tmp_path / "one.png", steps=20)
    with pytest.raises(ValueError, match=r"x \(N, 2\) and y \(N,\), got \(100, 2\) and \(9,\)"):
        plots.plot_decision_boundary(line, x, y[:9])


def test_arrays_and_rates_are_not_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    record = History()
    record.append({"loss": 1.0, "f1_macro": 0.5, "confusion_matrix": np.eye(2), "lr": 0.1, "seconds": 1.0})
    assert [axes.get_title() for axes in record.plot(tmp_path / "curves.png").axes] == ["loss", "f1_macro in %"]
