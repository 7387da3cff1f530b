"""Losses as layers give what the functions give."""

import numpy as np
import pytest

from fastnn import Tensor, functional, nn
from tests.kernels.loss_rows import TABLE

LAYERS = {
    "mse_loss": nn.MSELoss,
    "l1_loss": nn.L1Loss,
    "smooth_l1_loss": nn.SmoothL1Loss,
    "huber_loss": nn.HuberLoss,
    "binary_cross_entropy": nn.BCELoss,
    "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss,
    "kl_div": nn.KLDivLoss,
    "hinge_embedding_loss": nn.HingeEmbeddingLoss,
    "margin_ranking_loss": nn.MarginRankingLoss,
    "soft_margin_loss": nn.SoftMarginLoss,
    "poisson_nll_loss": nn.PoissonNLLLoss,
    "gaussian_nll_loss": nn.GaussianNLLLoss,
    "multilabel_soft_margin_loss": nn.MultiLabelSoftMarginLoss,
    "multi_margin_loss": nn.MultiMarginLoss,
    "multilabel_margin_loss": nn.MultiLabelMarginLoss,
    "cosine_embedding_loss": nn.CosineEmbeddingLoss,
    "triplet_margin_loss": nn.TripletMarginLoss,
}
OTHERS = [nn.CrossEntropyLoss, nn.NLLLoss, nn.CTCLoss, nn.TripletMarginWithDistanceLoss]
ALL = [*LAYERS.values(), *OTHERS]
rows = [pytest.param(row, id=name) for name, row in TABLE.items() if row.name in LAYERS]


@pytest.mark.parametrize("row", rows)
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_layers(row, reduction):
    args = row.make(np.random.default_rng(3))
    layer = LAYERS[row.name](reduction=reduction, **row.options)
    x = Tensor(args[0], requires_grad=True)
    loss = layer(x, *args[1:])
    expected = getattr(functional, row.name)(*args, reduction=reduction, **row.options)
    np.testing.assert_array_equal(loss.numpy(), expected)
    loss.sum().backward()
    assert x.grad.any()
    assert repr(layer).startswith(f"{type(layer).__name__}(") and f"reduction={reduction!r}" in repr(layer)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_of_labels(reduction, rng):
    x, labels = Tensor(rng.normal(size=(5, 3))), np.array([0, 2, 1, 1, 0])
    weight = np.array([1.0, 2.0, 0.5])
    expected = functional.cross_entropy(x, labels, weight, 2, reduction, 0.1).numpy()
    layer = nn.CrossEntropyLoss(weight, None, 2, None, reduction, 0.1)
    np.testing.assert_array_equal(layer(x, labels).numpy(), expected)
    expected = functional.nll_loss(x, labels, weight, reduction=reduction).numpy()
    np.testing.assert_array_equal(nn.NLLLoss(weight, reduction=reduction)(x, labels).numpy(), expected)
    logs = functional.log_softmax(Tensor(rng.normal(size=(6, 2, 4)), requires_grad=True), -1)
    args = (logs, np.array([[1, 2], [3, 3]]), np.array([6, 5]), np.array([2, 2]))
    loss = nn.CTCLoss(0, reduction)(*args)
    np.testing.assert_array_equal(loss.numpy(), functional.ctc_loss(*args, reduction=reduction).numpy())
    loss.sum().backward()


@pytest.mark.parametrize("loss", ALL)
def test_unknown_reduction(loss):
    with pytest.raises(ValueError, match=f"{loss.__name__}: reduction must be .* or 'sum', got 'max'"):
        loss(reduction="max")


def test_every_loss_is_here():
    of_layers = {nn.AdaptiveLogSoftmaxWithLoss, nn.LinearCrossEntropyLoss}  # tests/nn/test_adaptive.py
    layers = {x for name in nn.__all__ if name.endswith("Loss") and isinstance(x := getattr(nn, name), type)}
    assert layers - of_layers == set(ALL)
