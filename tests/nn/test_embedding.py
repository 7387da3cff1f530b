"""Tables of vectors."""

import copy
import pickle

import numpy as np
import pytest

from fastnn import Tensor, manual_seed, nn, optim
from fastnn import functional as F

WORDS = np.array([[3, 0, 3], [1, 3, 2]])


def test_rows_are_chosen_and_collect_their_gradients():
    manual_seed(0)
    layer = nn.Embedding(5, 4)
    y = layer(WORDS)
    np.testing.assert_array_equal(y.numpy(), layer.weight.numpy()[WORDS])
    weights = np.random.default_rng(0).normal(size=y.shape).astype("f")
    (y * weights).sum().backward()
    expected = np.zeros((5, 4), "f")
    np.add.at(expected, WORDS, weights)
    np.testing.assert_allclose(layer.weight.grad, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("given", [WORDS.tolist(), Tensor(WORDS), WORDS.astype(np.uint8), WORDS.astype(">i4")[::-1]])
def test_any_integers(given):
    layer = nn.Embedding(5, 4)
    np.testing.assert_array_equal(layer(given).numpy(), layer.weight.numpy()[np.asarray(given)])


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3,)])
def test_any_shape(shape):
    layer = nn.Embedding(5, 4)
    y = layer(np.zeros(shape, int))
    assert y.shape == (*shape, 4)
    y.sum().backward()
    assert layer.weight.grad.shape == (5, 4)


def test_padding_stays_as_it_is():
    layer = nn.Embedding(5, 4, padding_idx=-2)
    assert layer.padding_idx == 3 and not layer.weight.numpy()[3].any()
    layer(WORDS).sum().backward()
    assert not np.asarray(layer.weight.grad)[3].any() and np.asarray(layer.weight.grad)[0].all()


def test_gradients_by_count():
    layer = nn.Embedding(5, 4, scale_grad_by_freq=True)
    layer(WORDS).sum().backward()
    np.testing.assert_array_equal(np.asarray(layer.weight.grad)[:, 0], [1, 1, 1, 1, 0])


@pytest.mark.parametrize("order", [1.0, 2.0, np.inf])
def test_long_rows_are_shortened_where_they_are_used(order):
    manual_seed(0)
    layer = nn.Embedding(5, 8, max_norm=1.5, norm_type=order)
    before = layer.weight.numpy().copy()
    y = layer(WORDS).numpy()
    after, used = layer.weight.numpy(), [0, 1, 2, 3]
    np.testing.assert_array_equal(after[4], before[4])
    norms = np.linalg.norm(before[used], order, axis=1)
    np.testing.assert_allclose(np.linalg.norm(after[used], order, axis=1), np.minimum(norms, 1.5), rtol=1e-5)
    np.testing.assert_array_equal(y, after[WORDS])


def test_known_vectors():
    vectors = np.arange(12.0).reshape(4, 3)
    layer = nn.Embedding.from_pretrained(vectors, padding_idx=0)
    assert layer.weight.dtype == np.float64 and not layer.weight.requires_grad
    np.testing.assert_array_equal(layer(np.array([2, 0])).numpy(), vectors[[2, 0]])
    assert nn.Embedding.from_pretrained(vectors, freeze=False).weight.requires_grad
    assert repr(layer) == "Embedding(4, 3, padding_idx=0)"


def test_copies_and_learning():
    manual_seed(0)
    layer = nn.Embedding(5, 4)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(twin(WORDS).numpy(), layer(WORDS).numpy())
    optimizer = optim.SGD(layer.parameters(), lr=0.5)
    before = layer.weight.numpy().copy()
    layer(WORDS).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(
        before - layer.weight.numpy(), 0.5 * np.array([1, 1, 1, 3, 0])[:, None] * np.ones(4), atol=1e-6
    )


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: nn.Embedding(5, 4)(np.array([1, 5])), IndexError, "embedding: input must be from 0 to 4 .* got 1 to"),
        (lambda: nn.Embedding(5, 4)(np.array([-1])), IndexError, "got -1 to -1"),
        (lambda: nn.Embedding(5, 4)(np.array([1.0])), TypeError, r"embedding: input must be integers, got float64"),
        (lambda: F.embedding(WORDS, np.zeros(5, "f")), ValueError, r"weight must have shape \(N, D\), got \(5,\)"),
        (lambda: F.embedding(WORDS, np.zeros((5, 2), "f"), 5), ValueError, "padding_idx must be from -5 to 4, got 5"),
        (lambda: nn.Embedding(0, 4), ValueError, "num_embeddings"),
        (lambda: nn.Embedding(5, 4, padding_idx=5), ValueError, "padding_idx must be from -5 to 4, got 5"),
        (lambda: nn.Embedding(5, 4, _weight=np.zeros((4, 5))), ValueError, r"must have shape \(5, 4\), got \(4, 5\)"),
        (lambda: nn.Embedding.from_pretrained(np.zeros(3)), ValueError, r"must have shape \(N, D\), got \(3,\)"),
    ],
)  # fmt: skip
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()
