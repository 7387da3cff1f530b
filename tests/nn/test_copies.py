"""Models can be copied and pickled at any time, and go on in the copy as in the original."""

import copy
import io
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn, no_grad, optim
from fastnn import functional as F
from fastnn.train import fit, predict

rng = np.random.default_rng(0)
X = rng.standard_normal((6, 3, 8, 8)).astype(np.float32)
Y = rng.integers(0, 5, 6)


def net():
    fastnn.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 2, 2, 2),
        nn.GELU(), nn.Sequential(nn.Flatten(), nn.Dropout(0.2)), nn.Linear(128, 5), nn.Tanh(),
    )  # fmt: skip


def protocol(number):
    return lambda model: pickle.loads(pickle.dumps(model, number))


COPIES = {"deepcopy": copy.deepcopy, "protocol 2": protocol(2), "protocol 5": protocol(5)}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("moment", ["fresh", "trained", "predicted", "both"])
def test_at_any_time(way, moment):
    model = net()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    if moment in ("trained", "both"):
        fit(model, (X, Y), loss=F.cross_entropy, optimizer=optimizer, progress=False, batch_size=3)
    if moment in ("predicted", "both"):
        for _ in range(3):
            predict(model, X)
        with no_grad():
            for _ in range(3):
                model(X)
    other = COPIES[way](model)
    assert [module.training for module in other.modules()] == [module.training for module in model.modules()]
    for name, array in model.state_dict().items():
        assert np.asarray(other.state_dict()[name]).tobytes() == np.asarray(array).tobytes()
    for mine in (model, other):
        for _ in range(2):  # from the third time on, both compute with packed weights
            predict(mine, X)
    np.testing.assert_array_equal(predict(other, X), predict(model, X))
    losses = []
    for mine in (model, other):
        fastnn.manual_seed(5)
        optimizer = optim.Adam(mine.parameters(), lr=0.01)
        losses.append(fit(mine, (X, Y), loss=F.cross_entropy, optimizer=optimizer, epochs=2, progress=False)["loss"])
    assert losses[0] == losses[1]
    assert np.abs(predict(other, X) - predict(COPIES[way](other), X)).max() == 0
    file = io.BytesIO()
    pickle.dump(other, file)
    assert file.tell() > 1000


@pytest.mark.parametrize("way", COPIES)
def test_what_is_shared_stays_shared(way):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model.append(model[0])
    model[2].weight = model[0].weight
    other = COPIES[way](model)
    assert other[3] is other[0] and other[2].weight is other[0].weight and other[0].weight is not model[0].weight
    assert len(list(other.parameters())) == 3
    other[0].weight.data[...] = 1
    assert (other[2].weight.numpy() == 1).all() and not (model[0].weight.numpy() == 1).any()


@pytest.mark.parametrize("way", COPIES)
def test_frozen_parameters_stay_frozen(way):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    model[0].requires_grad_(False)
    model[1].eval()
    other = COPIES[way](model)
    assert not other[0].weight.requires_grad and other[1].weight.requires_grad and not other[1].training


def test_packed_weights_are_not_copied():
    layer = nn.Linear(64, 64).eval()
    small = len(pickle.dumps(layer))
    with no_grad():
        for _ in range(3):
            layer(X.reshape(-1, 64))
    assert layer._prepared[1] is not None and len(pickle.dumps(layer)) == small
    assert copy.copy(layer).weight is layer.weight


class Own(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.size = function()

    def forward(self, x):
        return self.layer(x)


def test_arguments_of_modules_of_ones_own_are_not_kept():
    model = Own(lambda: 3)
    other = pickle.loads(pickle.dumps(model))
    assert other.size == 3 and other(np.ones((1, 2), np.float32)).shape == (1, 2)


def test_parameters_in_another_byte_order():
    parameter = nn.Parameter(np.array([1.5, 2.5], ">f4"))
    assert parameter.dtype == np.float32 and parameter.dtype.isnative and parameter.tolist() == [1.5, 2.5]
    (parameter * 2).sum().backward()
    assert parameter.grad.tolist() == [2, 2]


def test_unpickled_losses_and_modules_of_arrays():
    loss = pickle.loads(pickle.dumps(nn.CrossEntropyLoss(weight=np.array([1, 2], np.float32))))
    value = loss(Tensor(np.zeros((2, 2), np.float32)), np.array([0, 1]))
    np.testing.assert_allclose(value.item(), np.log(2), rtol=1e-6)
