"""Models in files: exact, complete, and harmless whatever the file says."""

import json
import os

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.train import fit, save_checkpoint
from fastnn.train.saving import build, describe
from tests.nn.test_layers import TABLE

rng = np.random.default_rng(3)
X = rng.standard_normal((40, 1, 8, 8)).astype(np.float32)
Y = rng.integers(0, 3, 40)


def net():
    fastnn.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Sequential(nn.Flatten(), nn.Dropout(0.2)),
                         nn.Linear(36, 3, bias=False))  # fmt: skip


@pytest.fixture
def file(tmp_path):
    model = net()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    fit(model, (X, Y), loss=functional.cross_entropy, optimizer=optimizer, progress=False, batch_size=8)
    fastnn.save(model, tmp_path / "net", optimizer=optimizer, config={"classes": ["a", "b"], "mean": X.mean(0)})
    return tmp_path / "net", model, optimizer


@pytest.mark.parametrize("name", TABLE)
def test_every_layer_can_be_made_anew(name, tmp_path):
    row = TABLE[name]
    model = row.make().eval()
    if describe(model) is None:
        pytest.skip("made with arguments that are no JSON values")
    fastnn.save(model, tmp_path / "layer")
    saved = fastnn.load(tmp_path / "layer")
    assert type(saved) is type(model) and repr(saved) == repr(model)
    x = row.batch(2)
    np.testing.assert_array_equal(np.asarray(saved(x)), np.asarray(model(x)))


def test_model_optimizer_and_config_come_back(file):
    path, model, optimizer = file
    saved = fastnn.load(path)
    assert not saved.model.training and repr(saved.model) == repr(model)
    for name, weight in model.state_dict().items():
        assert saved.model.state_dict()[name].numpy().tobytes() == weight.numpy().tobytes()
    assert saved.config["classes"] == ["a", "b"]
    np.testing.assert_array_equal(saved.config["mean"], X.mean(0))
    for mine, other in ((model, optimizer), (saved.model.train(), saved.optimizer)):
        fastnn.manual_seed(7)
        fit(mine, (X, Y), loss=functional.cross_entropy, optimizer=other, progress=False, batch_size=8)
    for name, weight in model.state_dict().items():
        assert saved.model.state_dict()[name].numpy().tobytes() == weight.numpy().tobytes(), name


def test_random_streams_are_left_alone_or_continued(file):
    path, _, _ = file
    fastnn.manual_seed(4)
    expected = fastnn.random.get_state()
    fastnn.load(path)
    assert fastnn.random.get_state() == expected
    fastnn.manual_seed(1)
    fastnn.save(net(), path)
    drawn = fastnn.random.generator().random(3)
    fastnn.manual_seed(9)
    fastnn.load(path, random=True)
    np.testing.assert_array_equal(fastnn.random.generator().random(3), drawn)


def test_precision_and_exchanged_layers(tmp_path):
    model = net().double()
    setattr(model, "1", nn.Tanh())
    fastnn.save(model, tmp_path / "net")
    saved = fastnn.load(tmp_path / "net")
    assert repr(saved) == repr(model) and saved[0].weight.dtype == np.float64


class Own(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, 2)

    def forward(self, x):
        return self.layer(x)


def test_modules_of_ones_own_must_be_given(tmp_path):
    model = Own(3)
    fastnn.save(model, tmp_path / "own", optimizer=optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="not made of layers of fastnn.nn only"):
        fastnn.load(tmp_path / "own")
    saved = fastnn.load(tmp_path / "own", Own(3))
    np.testing.assert_array_equal(saved.model.state_dict()["layer.weight"], model.state_dict()["layer.weight"])
    with pytest.raises(ValueError, match="layer.weight"):
        fastnn.load(tmp_path / "own", Own(4))
    groups = [{"params": [model.layer.bias], "lr": 0.2}, {"params": [model.layer.weight]}]
    optimizer = optim.SGD(groups, lr=0.1)
    fastnn.save(model, tmp_path / "own", optimizer=optimizer)
    saved = fastnn.load(tmp_path / "own", Own(3))
    assert [(group["lr"], group["params"][0].shape) for group in saved.optimizer.param_groups] == [
        (0.2, (2,)),
        (0.1, (2, 3)),
    ]
    assert saved.optimizer.param_groups[0]["params"][0] is saved.model.layer.bias
    fastnn.save(Own(3), tmp_path / "own", optimizer=optimizer)
    with pytest.raises(ValueError, match="SGD has parameters that this model has not"):
        fastnn.load(tmp_path / "own", Own(3))


# --- files that are not what they seem


def test_missing_and_other_files(file, tmp_path):
    with pytest.raises(FileNotFoundError):
        fastnn.load(tmp_path / "nowhere")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="not a safetensors file, or damaged"):
        fastnn.load(tmp_path / "text")
    save_checkpoint(tmp_path / "other", {"epoch": 3})
    with pytest.raises(ValueError, match="not written by fastnn.save"):
        fastnn.load(tmp_path / "other")


def test_damage_anywhere_is_an_error_or_changes_numbers_only(file):
    path, _, _ = file
    content = path.read_bytes()
    damage = np.random.default_rng(0)
    refused = 0
    for number in range(300):
        spoilt = bytearray(content)
        if number % 3:
            spoilt[int(damage.integers(len(content) // 3))] ^= 1 << int(damage.integers(8))
        else:
            del spoilt[int(damage.integers(len(content))) :]
        path.write_bytes(bytes(spoilt))
        try:
            fastnn.load(path)
        except ValueError:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"layer": "os.system", "args": ["true"], "options": {}, "dtype": "float32"}, "there is no layer 'os.system'"),
        ({"layer": "__builtins__", "args": [], "options": {}, "dtype": "float32"}, "there is no layer"),
        ({"layer": "functional", "args": [], "options": {}, "dtype": "float32"}, "there is no layer"),
        ({"layer": "Linear", "args": [10**9, 10**9], "options": {}, "dtype": "float32"}, "does not belong to"),
        ({"layer": "Linear", "args": [65000, 65000], "options": {}, "dtype": "float32"}, "does not belong to so few"),
        ({"layer": "LayerNorm", "args": [[65000, 65000]], "options": {}, "dtype": "float32"}, "does not belong to"),
        ({"layer": "Conv3d", "args": [1, 1, 999], "options": {}, "dtype": "float32"}, "does not belong to so few"),
        (
            {
                "layer": "Sequential",
                "args": 99 * [{"layer": "BatchNorm2d", "args": [1 << 15], "options": {}, "dtype": "float32"}],
                "options": {},
                "dtype": "float32",
            },
            "does not belong to so few",
        ),
        ({"layer": "Linear", "args": ["x", 2], "options": {}, "dtype": "float32"}, "load: .*"),
        ({"layer": "Linear", "args": [3, 2], "options": {"color": 1}, "dtype": "float32"}, "unexpected keyword"),
        ({"layer": "Linear", "args": [3, 2], "options": {}, "dtype": "object"}, "float32 or float64"),
        ({"layer": "Linear"}, "does not describe a model: KeyError"),
        ("Linear", "load: .*"),
        (None, "not made of layers"),
    ],
)
def test_hostile_descriptions(description, message, tmp_path):
    state = {"model": {"weight": np.zeros((2, 3), np.float32)}, "architecture": description, "optimizer": None,
             "config": {}, "random": {}}  # fmt: skip
    save_checkpoint(tmp_path / "bad", state)
    with pytest.raises(ValueError, match=message):
        fastnn.load(tmp_path / "bad")


def test_hostile_optimizers_and_depths(tmp_path):
    model = nn.Linear(3, 2)
    state = {"model": model.state_dict(), "architecture": describe(model), "config": {}, "random": {},
             "optimizer": {"type": "Optimizer.__init__", "groups": [[0]], "state": {}}}  # fmt: skip
    save_checkpoint(tmp_path / "bad", state)
    with pytest.raises(ValueError, match="there is no optimizer 'Optimizer.__init__'"):
        fastnn.load(tmp_path / "bad")
    deep = describe(nn.ReLU())
    for _ in range(60):
        deep = {"layer": "Sequential", "args": [deep], "options": {}, "dtype": "float32"}
    with pytest.raises(ValueError, match="there is no layer"):
        build(deep, {})
    header = json.dumps({"__metadata__": {"fastnn": '{"format": 1, "state": ' + '{"list": [' * 50_000}}).encode()
    (tmp_path / "deep").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="damaged"):
        fastnn.load(tmp_path / "deep")


def test_nothing_is_left_behind(file):
    path, model, _ = file
    with pytest.raises(TypeError):
        fastnn.save(model, path, config={"function": print})
    assert os.listdir(path.parent) == ["net"] and fastnn.load(path).config["classes"] == ["a", "b"]
