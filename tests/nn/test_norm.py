"""Normalisation layers: modes, running statistics and their counters, as in PyTorch."""

import numpy as np
import pytest

from fastnn import Tensor, nn

rng = np.random.default_rng(0)
INSTANCE = [(nn.InstanceNorm1d, (2, 3, 7)), (nn.InstanceNorm2d, (2, 3, 4, 5)), (nn.InstanceNorm3d, (2, 3, 2, 3, 4))]
BATCH = [(nn.BatchNorm1d, (4, 3)), (nn.BatchNorm1d, (2, 3, 7)), (nn.BatchNorm2d, (2, 3, 4, 5)),
         (nn.BatchNorm3d, (2, 3, 2, 3, 4))]  # fmt: skip


def draw(shape):
    return (rng.standard_normal(shape) * 2 + 1).astype(np.float32)


def moments(x, each):
    """Mean and unbiased variance per channel: of the whole batch, or the means of those of each image."""
    axes = tuple(range(2, x.ndim)) if each else (0, *range(2, x.ndim))
    mean, variance = x.astype(float).mean(axes), x.astype(float).var(axes, ddof=1)
    return (mean.mean(0), variance.mean(0)) if each else (mean, variance)


@pytest.mark.parametrize(("layer", "shape"), INSTANCE)
@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_instance_norm_counts_no_batches(layer, shape, momentum):
    norm = layer(3, momentum=momentum, track_running_stats=True)
    mean, variance = np.zeros(3), np.ones(3)
    for _ in range(2):
        x = draw(shape)
        norm(x)
        share = momentum or 0
        mean = mean * (1 - share) + share * moments(x, True)[0]
        variance = variance * (1 - share) + share * moments(x, True)[1]
    assert norm.num_batches_tracked.item() == 0
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=1e-5)
    norm.eval()
    before = norm.state_dict()
    wide = (1, 3, *[1] * (len(shape) - 2))
    expected = (x - mean.reshape(wide)) / np.sqrt(variance.reshape(wide) + 1e-5)
    np.testing.assert_allclose(np.asarray(norm(x)), expected, rtol=1e-4, atol=1e-5)
    assert all(np.array_equal(before[name], array) for name, array in norm.state_dict().items())


@pytest.mark.parametrize(("layer", "shape"), BATCH)
@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_batch_norm_counts_batches(layer, shape, momentum):
    norm = layer(3, momentum=momentum)
    mean, variance = np.zeros(3), np.ones(3)
    for number in range(1, 4):
        x = draw(shape)
        norm(x)
        share = 1 / number if momentum is None else momentum
        mean = mean * (1 - share) + share * moments(x, False)[0]
        variance = variance * (1 - share) + share * moments(x, False)[1]
        assert norm.num_batches_tracked.item() == number
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=1e-5)
    norm.eval()(x)
    assert norm.num_batches_tracked.item() == 3


@pytest.mark.parametrize(("layer", "shape"), BATCH + INSTANCE)
def test_without_running_statistics_the_batch_serves_in_eval_mode(layer, shape):
    x = draw(shape)
    norm = layer(3, track_running_stats=False)
    assert list(norm.state_dict()) == (["weight", "bias"] if norm.affine else [])
    trained = np.asarray(norm(x))
    np.testing.assert_array_equal(np.asarray(norm.eval()(x)), trained)


@pytest.mark.parametrize("training", [True, False])
def test_statistics_switched_off_later(training):
    """In training nothing is counted; in eval mode a BatchNorm uses what it has, an InstanceNorm the input."""
    x = draw((2, 3, 4, 5))
    norm = nn.BatchNorm2d(3, affine=False)
    norm.track_running_stats = False
    norm.train(training)
    y = np.asarray(norm(x))
    assert norm.num_batches_tracked.item() == 0 and norm.running_mean.tolist() == [0, 0, 0]
    expected = nn.BatchNorm2d(3, affine=False, track_running_stats=False)(x) if training else x / 1.000005
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    norm = nn.InstanceNorm2d(3, track_running_stats=True)
    norm.track_running_stats = False
    expected = np.asarray(nn.InstanceNorm2d(3)(x))
    np.testing.assert_allclose(np.asarray(norm.train(training)(x)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d(3), (1, 3)),
        (nn.BatchNorm1d(3), (1, 3, 1)),
        (nn.BatchNorm2d(3), (1, 3, 1, 1)),
        (nn.BatchNorm3d(3), (1, 3, 1, 1, 1)),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), (1, 3)),
        (nn.GroupNorm(3, 3), (1, 3)),
        (nn.GroupNorm(1, 1), (1, 1, 1)),
        (nn.GroupNorm(2, 2).eval(), (1, 2, 1, 1)),
        (nn.InstanceNorm1d(3, track_running_stats=True), (2, 3, 1)),
        (nn.InstanceNorm2d(3), (2, 3, 1, 1)),
        (nn.InstanceNorm3d(3).eval(), (2, 3, 1, 1, 1)),
    ],
)
def test_one_value_per_channel_is_refused_and_changes_nothing(norm, shape):
    before = norm.state_dict()
    with pytest.raises(ValueError, match="more than one|more than 1|one value|one pixel|at least two"):
        norm(draw(shape))
    assert all(np.array_equal(before[name], array) for name, array in norm.state_dict().items())


def test_one_value_per_channel_is_enough_for_running_statistics():
    x = draw((1, 3))
    np.testing.assert_allclose(nn.BatchNorm1d(3).eval()(x).numpy(), x / np.sqrt(1 + 1e-5), rtol=1e-6)
    norm = nn.InstanceNorm2d(3, track_running_stats=True).eval()
    np.testing.assert_allclose(np.asarray(norm(x.reshape(1, 3, 1, 1))).reshape(1, 3), x / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_frozen_by_a_train_of_its_own():
    class Frozen(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(nn.Sequential(Frozen(3)), nn.ReLU()).train()
    assert net.training and not net[0][0].training
    net(Tensor(draw((2, 3, 4, 4))))
    assert net[0][0].num_batches_tracked.item() == 0
    with pytest.raises(ValueError, match="mode must be True or False, got 1"):
        net.train(1)
