"""Sequential computes what Python would call, whatever was subclassed, replaced, removed or put in."""

import numpy as np
import pytest

from fastnn import Tensor, nn, no_grad
from fastnn import functional as F

rng = np.random.default_rng(0)
X = rng.standard_normal((2, 3, 8, 8)).astype(np.float32)
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.GELU)


def check(net, x=X):
    """Compare with the layers called one by one: in training, in eval mode, and with the layers' weights packed."""
    net.train()
    for mode in (net.train, net.eval, net.eval, net.eval):
        mode()
        y = Tensor(x)
        for layer in net:
            y = layer(y)
        np.testing.assert_allclose(net(Tensor(x)).numpy(), y.numpy(), rtol=1e-5, atol=1e-6)
        with no_grad():
            np.testing.assert_allclose(net(Tensor(x)).numpy(), y.numpy(), rtol=1e-5, atol=1e-6)


def net(activation):
    return nn.Sequential(nn.Conv2d(3, 4, 3), activation, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5), nn.Tanh())


def calls(net, monkeypatch, *functions):
    """Count calls of activation functions: those that were not fused."""
    seen = []
    for name in functions:
        run = getattr(F, name)
        monkeypatch.setattr(F, name, lambda *args, run=run, name=name, **more: seen.append(name) or run(*args, **more))
    net(Tensor(X))
    return seen


def test_what_is_known_is_fused(monkeypatch):
    assert calls(net(nn.ReLU()), monkeypatch, "relu", "tanh") == []


@pytest.mark.parametrize("base", ACTIVATIONS)
def test_subclasses_of_activations_run_their_own_forward(base):
    class Twice(base):
        def forward(self, input):
            return super().forward(input) * 2 + 1

    check(net(Twice()))


def test_subclasses_that_replace_the_call_itself():
    class Twice(nn.ReLU):
        def __call__(self, input):
            return super().__call__(input) * 2 + 1

    check(net(Twice()))


@pytest.mark.parametrize("base", ACTIVATIONS)
def test_replaced_forward_of_an_object_a_class_and_another_class(base, monkeypatch):
    made = net(base())
    check(made)
    made[1].forward = lambda input: input * 3
    check(made)
    del made[1].forward
    check(made)
    made[1].__class__ = nn.Softplus if base is nn.ReLU else nn.Softsign
    made[1].inplace = False
    if base is nn.ReLU:
        made[1].beta, made[1].threshold = 1.0, 20.0
    check(made)
    made = net(base())
    check(made)
    with monkeypatch.context() as patch:
        patch.setattr(base, "forward", lambda self, input: input * 3)
        check(made)
    check(made)
    monkeypatch.setattr(base, "__call__", lambda self, input: input * 5)
    check(made)


def test_names_are_not_believed():
    class ReLU(nn.Module):
        fused_name = "relu"

        def forward(self, input):
            return input * 2 + 1

    check(net(ReLU()))


def own_linear(base):
    class Own(base):
        def forward(self, input, activation=None):
            return super().forward(input) - 3

    return Own


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (own_linear(nn.Linear)(8, 4), X),
        (own_linear(nn.Conv2d)(3, 4, 3), X),
        (own_linear(nn.Conv1d)(3, 4, 3), X[..., 0]),
        (own_linear(nn.Conv3d)(3, 4, 1), X[..., None]),
        (own_linear(nn.ConvTranspose2d)(3, 4, 3), X),
        (own_linear(nn.DepthwiseConv2d)(3, 3), X),
        (own_linear(nn.SeparableConv2d)(3, 4, 3), X),
        (own_linear(nn.MaxPool2d)(2), X),
        (own_linear(nn.BatchNorm2d)(3), X),
    ],
)
def test_subclasses_of_layers_run_their_own_forward(layer, x):
    if isinstance(layer, nn.BatchNorm2d):
        layer.train = lambda mode=True: layer  # its statistics would change between the two ways
        layer.training = False
    check(nn.Sequential(layer, nn.ReLU()), x)


def test_a_layer_whose_forward_was_replaced_needs_no_activation_argument():
    made = net(nn.ReLU())
    check(made)
    inner = made[0].forward
    made[0].forward = lambda input: inner(input) - 0.5
    check(made)


def test_poolings_that_do_not_commute():
    class Mean(nn.MaxPool2d):
        def forward(self, input):
            return F.avg_pool2d(input, 2)

    check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Mean(2)))
    made = net(nn.ReLU())
    check(made)
    made[2].forward = lambda input: F.avg_pool2d(input, 2)
    check(made)
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2))
    made(Tensor(X))
    made[2].return_indices = True
    values, _ = made(Tensor(X))
    np.testing.assert_allclose(values.numpy(), made[2](made[1](made[0](Tensor(X))))[0].numpy(), rtol=1e-5, atol=1e-6)


def test_parameters_that_change_after_the_first_call():
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(), nn.Conv2d(4, 2, 3), nn.GELU())
    check(made)
    made[1].negative_slope = 0.5
    made[3].approximate = "tanh"
    check(made)
    made[1].negative_slope = 0.01
    made[3].approximate = "none"
    check(made)


def test_layers_replaced_removed_and_put_in():
    made = net(nn.ReLU())
    check(made)
    made[1] = nn.Tanh()
    check(made)
    del made[1]
    assert [name for name, _ in made.named_children()] == ["0", "1", "2", "3", "4"]
    check(made)
    made.insert(1, nn.Sigmoid())
    check(made)
    assert isinstance(made.pop(), nn.Tanh) and len(made) == 5
    check(made)
    delattr(made, "1")
    check(made)
    made.extend([nn.ReLU(), nn.Linear(5, 2)])
    check(made)
    assert len(made) == 6
    made.append(nn.LeakyReLU())
    check(made)
    for change in (lambda: made.append(3), lambda: made.insert(0, None), lambda: made.extend([nn.ReLU(), 3])):
        with pytest.raises(TypeError, match="Sequential: expected modules"):
            change()
    with pytest.raises(TypeError, match="expected modules, got int at '2'"):
        made[1] = 5
    assert len(made) == 7


def test_module_lists_are_lists():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.ReLU(), nn.Tanh()])
    del layers[0]
    layers.insert(0, nn.Sigmoid())
    assert [type(layer).__name__ for layer in layers] == ["Sigmoid", "ReLU", "Tanh"]
    assert isinstance(layers[1:], nn.ModuleList) and layers[1:][0] is layers[1]
    layers[1] = nn.Identity()
    assert isinstance(layers[1], nn.Identity)


def test_parts_of_a_separable_convolution_may_be_replaced():
    class Plain(nn.Module):
        def forward(self, input):
            return input[:, :2] + 1

    layer = nn.SeparableConv2d(3, 4, 3, activation="relu")
    layer.pointwise = Plain()
    expected = F.relu(layer.depthwise(Tensor(X)))[:, :2] + 1
    np.testing.assert_allclose(layer(Tensor(X)).numpy(), expected.numpy(), rtol=1e-6)
    np.testing.assert_allclose(layer(Tensor(X), "tanh").numpy(), np.tanh(expected.numpy()), rtol=1e-5)
    layer.depthwise = Plain()
    layer.pointwise = nn.Conv2d(2, 4, 1)
    expected = layer.pointwise(F.relu(Tensor(X[:, :2] + 1)))
    np.testing.assert_allclose(layer(Tensor(X)).numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_the_summary_leaves_a_replaced_forward_alone():
    made = net(nn.ReLU())
    made[1].forward = mine = lambda input: input * 3
    before = made(Tensor(X)).numpy()
    assert [row.layer for row in made.summary(X.shape).rows][:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    assert made[1].forward is mine
    np.testing.assert_array_equal(made(Tensor(X)).numpy(), before)
