"""What notebooks show: tables, pictures of images, and figures once."""

import io
import sys
import types
from collections.abc import Mapping

import numpy as np
import pytest

from fastnn import Tensor, nn
from fastnn._html import png, table
from fastnn.train import History


def history(epochs, stopped="finished"):
    record = History(stopped=stopped)
    for epoch in range(epochs):
        record.append({"loss": 1 / (epoch + 1), "accuracy": 0.5, "matrix": np.eye(2)})
    return record


def test_history_is_a_mapping():
    record = history(3)
    assert isinstance(record, Mapping) and len(record) == 3
    assert list(record) == list(record.keys()) == ["loss", "accuracy", "matrix"]
    assert dict(record)["loss"] == record["loss"] == record.history["loss"] == list(record.values())[0]
    assert record.get("loss") is record["loss"] and record.get("lost", 5) == 5 and "loss" in record
    assert [name for name, _ in record.items()] == list(record)
    assert {**record} == record.columns


def test_history_shows_itself():
    assert repr(history(3)) == str(history(3)) and len(repr(history(3)).splitlines()) == 4
    assert repr(history(0)) == "History(no epoch was finished)"
    assert repr(history(2, "early stopping")).splitlines()[-1] == "early stopping"
    assert len(repr(history(500)).splitlines()) == 62
    text = history(2, "it <stopped>")._repr_html_()
    assert text.count("<tr>") == 3 and "it &lt;stopped&gt;" in text and "matrix" not in text
    assert history(500)._repr_html_().count("<tr>") == 62
    assert history(0)._repr_html_()


def test_summary_shows_itself():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    model[0].bias.requires_grad = False
    text = model.summary((1, 3))._repr_html_()
    assert text.count("<tr>") == 5 and "0: Linear" in text and "2 of the parameters are frozen" in text


def test_tables_are_escaped():
    assert "<script>" not in table(["<script>"], [["<script>", "<b>"]], "<i>") and "&lt;b&gt;" in table(
        ["a"], [["<b>"]]
    )


@pytest.mark.parametrize(("shape", "dtype"), [((1, 9, 12), "u1"), ((3, 9, 12), "f4"), ((20, 1, 8, 8), "f8")])
def test_images_are_shown(shape, dtype):
    x = np.random.default_rng(0).random(shape)
    x = (x * 255).astype("u1") if dtype == "u1" else x.astype(dtype)
    text = Tensor(x)._repr_html_()
    assert text.count("<img") == (16 if len(shape) == 4 else 1) and str(shape) in text
    assert Tensor(x.swapaxes(-1, -2)[..., ::-1])._repr_html_()


@pytest.mark.parametrize(
    "x",
    [np.zeros((4, 9, 9)), np.zeros((9, 9)), np.zeros((3, 7, 9)), np.full((1, 9, 9), 1.5), np.full((1, 9, 9), np.nan),
     np.zeros((1, 9, 2000)), np.zeros((1, 9, 9), int), np.zeros((0, 1, 9, 9)), np.float32(1),
     np.zeros((1, 9, 9), "u2")],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_image_is_not(x):
    assert Tensor(x)._repr_html_() is None


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_png_files(channels):
    image = np.random.default_rng(0).integers(0, 256, (channels, 5, 7), dtype=np.uint8)
    found = pytest.importorskip("PIL.Image").open(io.BytesIO(png(image)))
    expected = image[0] if channels == 1 else image.transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(found), expected)


def test_a_plot_is_shown_once(monkeypatch):
    pytest.importorskip("matplotlib")
    shown, shell = [], types.SimpleNamespace(kernel=object(), execution_count=7)
    ipython = types.ModuleType("IPython")
    ipython.version_info = (9, 0)
    ipython.get_ipython = lambda: shell
    display = types.ModuleType("IPython.display")
    display.Image = lambda data: data
    display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    figure = history(3).plot()
    assert len(shown) == 1 and shown[0].startswith(b"\x89PNG") and pyplot.get_fignums() == before
    figure._ipython_display_()  # as the result of the cell
    assert len(shown) == 1
    shell.execution_count = 8
    figure._ipython_display_()  # asked for again
    assert len(shown) == 2
