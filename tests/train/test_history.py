"""The record of a run, and the pictures drawn from it."""

import math
import subprocess
import sys

import numpy as np
import pytest

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
    plots.confusion(np.array([[5, 1], [0, 4]]), tmp_path / "new folder" / "confusion.png", names=["cat", "dog"])
    plots.filters(rng.standard_normal((7, 1, 5, 5)), tmp_path / "filters.png")
    plots.filters(rng.standard_normal((16, 3, 5, 5)), tmp_path / "colour.png")
    plots.misread(rng.random((60, 1, 8, 8)), target, output, tmp_path / "misread.png", limit=11)
    for name in ("curves.png", "new folder/confusion.png", "filters.png", "colour.png", "misread.png"):
        assert is_picture(tmp_path / name), name


def test_pictures_of_nothing(tmp_path):
    pytest.importorskip("matplotlib")
    History().plot(tmp_path / "empty.png")
    plots.misread(np.zeros((2, 1, 8, 8)), np.array([0, 1]), np.eye(2), tmp_path / "perfect.png")
    plots.confusion(np.zeros((3, 3), int), tmp_path / "zeros.png")


def test_filters_need_a_convolution():
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        plots.filters(np.zeros((3, 4)))


def test_matplotlib_is_not_imported_before_it_is_needed():
    code = "import sys, fastnn.train; assert 'matplotlib' not in sys.modules and 'tqdm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
