"""fit, evaluate and predict leave every module's own mode and the caller's data as they were."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn, optim
from fastnn import functional as F
from fastnn.data import DataLoader
from fastnn.train import Callback, evaluate, fit, plot_feature_maps, predict

rng = np.random.default_rng(0)
X = rng.standard_normal((24, 3, 6, 6)).astype(np.float32)
Y = rng.integers(0, 3, 24)


def net():
    fastnn.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Sequential(nn.Flatten(), nn.Dropout(0.5)),
                         nn.Linear(64, 3))  # fmt: skip


def train(model, data=(X, Y), **options):
    parameters = {"loss": F.cross_entropy, "optimizer": optim.SGD(model.parameters(), lr=0.01), "progress": False}
    return fit(model, data, batch_size=8, **{**parameters, **options})


USES = {
    "predict": lambda model: predict(model, X),
    "evaluate": lambda model: evaluate(model, (X, Y), loss=F.cross_entropy, metrics=["accuracy"]),
    "fit": lambda model: train(model, epochs=2, validation=(X, Y)),
    "summary": lambda model: model.summary(X.shape),
    "warmup": lambda model: fastnn.warmup(model, X.shape, progress=False),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("modes", [(1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 0, 1, 1, 1, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0),
                                   (0, 1, 0, 1, 0, 1, 0, 1)])  # fmt: skip
def test_every_module_keeps_its_own_mode(use, modes):
    model = net()
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = bool(mode)
    USES[use](model)
    assert tuple(map(int, (module.training for module in model.modules()))) == modes


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("use", USES)
def test_also_when_an_exception_ends_it(use, error):
    class Fails(nn.Module):
        def forward(self, x):
            raise error("now")

    model = net().append(Fails())
    model[1].eval()
    before = [module.training for module in model.modules()]
    if use == "fit" and error is KeyboardInterrupt:
        assert USES[use](model).stopped.startswith("interrupted")
    else:
        with pytest.raises(error):
            USES[use](model)
    assert [module.training for module in model.modules()] == before


def test_a_frozen_batch_norm_stays_frozen_in_fit():
    model = net()
    train(model)
    model[1].eval()
    before = {name: model.state_dict()[name] for name in ("1.running_mean", "1.running_var", "1.num_batches_tracked")}
    train(model, epochs=3, validation=(X, Y))
    for name, array in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], array)
    model[1].train()
    train(model)
    assert model[1].num_batches_tracked.item() == before["1.num_batches_tracked"] + 3


def test_a_model_in_eval_mode_is_trained_in_training_mode():
    model, seen = net().eval(), []
    train(model, callbacks=[lambda run: seen.append([module.training for module in run.model.modules()])])
    assert all(seen[0]) and not any(module.training for module in model.modules())


def test_what_a_callback_freezes_stays_frozen_until_the_end():
    class Freeze(Callback):
        def on_epoch_end(self, run):
            run.model[1].eval()

    model = net()
    train(model, epochs=3, callbacks=[Freeze()], validation=(X, Y))
    assert model[1].num_batches_tracked.item() == 3 and model[1].training


# --- the caller's data


class InPlace(nn.Module):
    """Works in place on whatever it is given, in the ways there are."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.layer = nn.Conv2d(3, 3, 1)
        self.last = nn.Linear(108, 3)

    def forward(self, x):
        if self.way == "functional":
            x = F.relu(x, inplace=True)
        elif self.way == "operator":
            x -= 1.0
        elif self.way == "item":
            x[:, 0] = 0.0
        elif self.way == "numpy":
            np.asarray(x).fill(3)
        return self.last(F.flatten(self.layer(x), 1))


def first(layer):
    return lambda: nn.Sequential(layer(), nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Linear(108, 3))


MODELS = {
    "relu": first(lambda: nn.ReLU(inplace=True)),
    "dropout": first(lambda: nn.Dropout(0.5, inplace=True)),
    "dropout2d": first(lambda: nn.Dropout2d(0.5, inplace=True)),
    "alpha": first(lambda: nn.AlphaDropout(0.5, inplace=True)),
    "rrelu": first(lambda: nn.RReLU(inplace=True)),
    "leaky": first(lambda: nn.Sequential(nn.Identity(), nn.LeakyReLU(0.5, inplace=True))),
    **{way: (lambda way=way: InPlace(way)) for way in ("functional", "operator", "item", "numpy")},
}


def data_of(kind, tmp_path):
    """Give the data as (x, y) arrays or as batches, and the array that must not change."""
    x = X.copy()
    if kind == "memory map":
        np.save(tmp_path / "x.npy", x)
        x = np.load(tmp_path / "x.npy", mmap_mode="r+")
    if kind == "read-only":
        x.flags.writeable = False
    if kind == "strided":
        x = np.repeat(x, 2, axis=0)[::2]
    if kind == "loader":
        return DataLoader((x, Y), 8), x
    if kind == "prefetch":
        return DataLoader((x, Y), 8, prefetch=2), x
    if kind == "views":
        return [(x[i : i + 8], Y[i : i + 8]) for i in range(0, 24, 8)], x
    if kind == "read-only views":
        x.flags.writeable = False
        return [(x[i : i + 8], Y[i : i + 8]) for i in range(0, 24, 8)], x
    if kind == "tensors":
        return [(Tensor(x[i : i + 8]), Y[i : i + 8]) for i in range(0, 24, 8)], x
    return (x, Y), x


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["arrays", "memory map", "read-only", "strided", "loader", "prefetch", "views",
                                  "read-only views", "tensors"])  # fmt: skip
def test_data_are_never_written_into(name, kind, tmp_path):
    model = MODELS[name]()
    if kind == "tensors" and name == "numpy":
        pytest.skip("reaches behind the tensor")
    data, x = data_of(kind, tmp_path)
    evaluate(model, data, loss=F.cross_entropy, metrics=["accuracy"])
    np.testing.assert_array_equal(x, X)
    train(model, data, epochs=2, validation=data)
    np.testing.assert_array_equal(x, X)
    if isinstance(data, tuple):
        first, second = predict(model, x), predict(model, x)
        np.testing.assert_array_equal(first, second)
        train(model, data, epochs=2, class_weight={0: 2.0}, accumulate=2, prefetch=1)
    else:
        train(model, data, epochs=2, class_weight={0: 2.0}, accumulate=2)
    np.testing.assert_array_equal(x, X)


def test_losses_and_metrics_get_targets_of_their_own():
    x, target = X.reshape(24, -1).copy(), rng.standard_normal((24, 2)).astype(np.float32)
    before = target.copy()

    def loss(output, target):
        target *= 2
        return F.mse_loss(output, target)

    def metric(output, target):
        target[...] = 0
        return 1.0

    model = nn.Linear(108, 2)
    evaluate(model, (x, target), loss=loss, metrics={"metric": metric})
    np.testing.assert_array_equal(target, before)
    batches = [(x, target)]
    train(model, batches, loss=loss, metrics={"metric": metric}, validation=batches)
    np.testing.assert_array_equal(target, before)


def test_an_input_that_is_the_target_too():
    x = np.abs(X).reshape(24, -1) - 0.5
    before = x.copy()
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(108, 108))
    evaluate(model, (x, x), loss=F.mse_loss)
    expected = np.mean((predict(model, x) - before) ** 2)
    np.testing.assert_allclose(evaluate(model, (x, x), loss=F.mse_loss)["loss"], expected, rtol=1e-5)
    train(model, [(x, x)], loss=F.mse_loss)
    np.testing.assert_array_equal(x, before)


def test_metrics_that_write_into_an_output_that_is_the_input():
    x, y = X.reshape(24, -1).copy(), X.reshape(24, -1).copy()

    def metric(output, target):
        output[...] = 0
        return 1.0

    for model in (nn.Identity(), nn.Flatten(0)):
        assert evaluate(model, (x, y), metrics={"metric": metric}) == {"metric": 1.0}
        np.testing.assert_array_equal(x, X.reshape(24, -1))


def test_transforms_that_write_in_place():
    def double(x, generator):
        x *= 2
        return x

    x = X.copy()
    for _ in range(2):
        loader = DataLoader((x, Y), 8, transform=double)
        np.testing.assert_array_equal(np.concatenate([batch for batch, _ in loader]), 2 * X)
        np.testing.assert_array_equal(x, X)


def test_pictures_of_what_layers_give(tmp_path):
    pytest.importorskip("matplotlib")
    x = X[0].copy()
    plot_feature_maps(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 2, 3)), x, tmp_path / "maps.png")
    np.testing.assert_array_equal(x, X[0])
