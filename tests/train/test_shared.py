"""Saved models come back as they were at that moment: what is shared is shared, what was set stays set."""

import numpy as np
import pytest

import fastnn
from fastnn import functional as F
from fastnn import nn, optim
from fastnn.train import fit, load_checkpoint, predict, save_checkpoint
from fastnn.train.saving import describe

rng = np.random.default_rng(0)
X = rng.standard_normal((12, 4)).astype(np.float32)


def tied_layer():
    shared = nn.Linear(4, 4)
    return nn.Sequential(shared, nn.ReLU(), shared, nn.Sequential(shared, nn.Tanh()))


def tied_activation():
    relu = nn.LeakyReLU(0.3)
    return nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu)


def tied_block():
    block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    return nn.Sequential(block, block, nn.Sequential(block))


def tied_parameters():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
    model[2].weight = model[0].weight
    model[3].weight = model[0].weight
    return model


def tied_within():
    model = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4))
    model[0].weight = model[0].bias
    return model


def tied_in_float64():
    model = tied_parameters().double()
    assert model[0].weight is model[2].weight
    return model


TIED = [tied_layer, tied_activation, tied_block, tied_parameters, tied_within, tied_in_float64]


def sharing(model):
    """Which names and which modules are one."""
    modules, values = {}, {}
    for name, module in model.named_modules():
        modules.setdefault(id(module), []).append(name)
    for name, value in model._named_state():
        values.setdefault(id(value), []).append(name)
    return sorted(modules.values()), sorted(values.values())


@pytest.mark.parametrize("make", TIED)
def test_what_is_shared_is_shared_again(make, tmp_path):
    model = make()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    fit(model, (X, X), loss=F.mse_loss, optimizer=optimizer, progress=False)
    fastnn.save(model, tmp_path / "net", optimizer=optimizer)
    saved = fastnn.load(tmp_path / "net")
    assert sharing(saved.model) == sharing(model) and repr(saved.model) == repr(model)
    np.testing.assert_array_equal(predict(saved.model, X), predict(model, X))
    for mine, other in ((model, optimizer), (saved.model.train(), saved.optimizer)):
        fastnn.manual_seed(3)
        fit(mine, (X, X), loss=F.mse_loss, optimizer=other, epochs=2, progress=False, batch_size=4)
    for name, array in model.state_dict().items():
        assert saved.model.state_dict()[name].numpy().tobytes() == array.numpy().tobytes()
    fastnn.save(saved.model, tmp_path / "again")  # and once more
    assert sharing(fastnn.load(tmp_path / "again")) == sharing(model)


@pytest.mark.parametrize("make", TIED)
def test_state_dicts_have_all_names_and_keep_what_is_shared(make):
    model, other = make(), make()
    other.load_state_dict(model.state_dict())
    assert sharing(other) == sharing(model) and list(other.state_dict()) == list(model.state_dict())
    np.testing.assert_array_equal(predict(other, X), predict(model, X))


def test_files_from_before(tmp_path):
    """Files that do not say what is shared still load."""
    model = tied_parameters()
    fastnn.save(model, tmp_path / "net")
    state = load_checkpoint(tmp_path / "net")
    del state["ties"]
    save_checkpoint(tmp_path / "net", state)
    saved = fastnn.load(tmp_path / "net")
    assert saved[0].weight is not saved[2].weight
    np.testing.assert_array_equal(predict(saved, X), predict(model, X))


@pytest.mark.parametrize(
    "ties",
    [3, [3], [["0.weight"], None], [["0.weight", "nothing.weight"]], [["0.weight", "0.bias"]], [["0", "2"]],
     [["0.weight", "1.training"]], [["0.weight", "0.__class__"]], "xy", {"a": 1}],
)  # fmt: skip
def test_ties_that_do_not_fit(ties, tmp_path):
    fastnn.save(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)), tmp_path / "net")
    state = load_checkpoint(tmp_path / "net")
    save_checkpoint(tmp_path / "net", {**state, "ties": ties})
    with pytest.raises(fastnn.train.LoadError, match="net: architecture"):
        fastnn.load(tmp_path / "net")


def test_a_layer_cannot_be_used_before_it_is_there(tmp_path):
    fastnn.save(tied_layer(), tmp_path / "net")
    state = load_checkpoint(tmp_path / "net")
    for number in (0, 9, -1, "x", None, True):  # 0 is the Sequential itself
        state["architecture"]["args"][2] = {"same": number}
        save_checkpoint(tmp_path / "net", state)
        with pytest.raises(fastnn.train.LoadError, match="there is no layer number"):
            fastnn.load(tmp_path / "net")


# --- as it is now


CHANGES = {
    "slope": (nn.LeakyReLU, lambda layer: setattr(layer, "negative_slope", 0.5)),
    "gelu": (nn.GELU, lambda layer: setattr(layer, "approximate", "tanh")),
    "dropout": (nn.Dropout, lambda layer: setattr(layer, "p", 0.9)),
    "norm": (lambda: nn.LayerNorm(4), lambda layer: setattr(layer, "eps", 0.5)),
    "batch": (lambda: nn.BatchNorm1d(4), lambda layer: setattr(layer, "momentum", None)),
    "bias": (lambda: nn.Linear(4, 4), lambda layer: setattr(layer, "bias", None)),
    "bias there": (lambda: nn.Linear(4, 4, bias=False), lambda layer: setattr(layer, "bias", nn.Parameter(X[0]))),
    "softmax": (lambda: nn.Softmax(0), lambda layer: setattr(layer, "dim", 1)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_attributes_that_were_set_since(name, tmp_path):
    make, change = CHANGES[name]
    model = nn.Sequential(make())
    change(model[0])
    fastnn.save(model, tmp_path / "net")
    saved = fastnn.load(tmp_path / "net")
    assert repr(saved) == repr(model)
    np.testing.assert_array_equal(predict(saved, X), predict(model, X))


def test_strides_that_were_set_since(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ConvTranspose2d(2, 1, 2))
    model[0].stride, model[1].stride, model[2].stride = (2, 1), 1, (2, 2)
    fastnn.save(model, tmp_path / "net")
    x = rng.standard_normal((2, 1, 9, 9)).astype(np.float32)
    np.testing.assert_array_equal(predict(fastnn.load(tmp_path / "net"), x), predict(model, x))


def test_what_cannot_be_described_is_not():
    """A replaced forward, or a replaced part, would be lost without a word."""
    replaced = nn.ReLU()
    replaced.forward = lambda input: input * 3
    separable = nn.SeparableConv2d(2, 3, 3)
    assert describe(separable) is not None
    separable.pointwise = nn.Conv2d(2, 3, 1, bias=False)
    layers = nn.ModuleList([nn.Linear(4, 2), nn.ReLU()])
    layers[1] = nn.Tanh()

    class Own(nn.Linear):
        pass

    for model in (replaced, separable, Own(2, 2), nn.Sequential(nn.Linear(4, 4), replaced)):
        assert describe(model) is None
    assert describe(layers)["args"][0][1]["layer"] == "Tanh"


def test_dtypes_given_as_types_and_mixed(tmp_path):
    model = nn.Sequential(nn.Linear(4, 3, dtype=np.float64), nn.Linear(3, 2))
    fastnn.save(model, tmp_path / "net")
    saved = fastnn.load(tmp_path / "net")
    assert [p.dtype for p in saved.parameters()] == [p.dtype for p in model.parameters()]


def test_names_with_dots_in_config(tmp_path):
    config = {"a.b": np.arange(2), "a": {"b": np.arange(3)}, "__metadata__": np.arange(4)}
    fastnn.save(nn.Linear(2, 2), tmp_path / "net", config=config)
    loaded = fastnn.load(tmp_path / "net").config
    assert (len(loaded["a.b"]), len(loaded["a"]["b"]), len(loaded["__metadata__"])) == (2, 3, 4)
