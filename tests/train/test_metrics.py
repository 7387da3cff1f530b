"""Metrics, against counting by hand and scikit-learn's definitions."""

import numpy as np
import pytest

from fastnn.train import accuracy, confusion_matrix, top_k
from fastnn.train.streams import resolve

OUTPUT = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]], np.float32)


def test_accuracy_of_class_indices_and_of_probabilities():
    target = np.array([1, 0, 1, 0])
    assert accuracy(OUTPUT, target) == 0.75
    assert accuracy(OUTPUT, np.eye(3)[target]) == 0.75


def test_accuracy_of_yes_or_no():
    output, target = np.array([0.2, 0.5, 0.9, 0.4]), np.array([0.0, 1.0, 1.0, 1.0])
    assert accuracy(output, target) == accuracy(output[:, None], target) == accuracy(output, target[:, None]) == 0.75


def test_accuracy_of_pixels():
    rng = np.random.default_rng(0)
    output, target = rng.standard_normal((2, 4, 5, 6)), rng.integers(0, 4, (2, 5, 6))
    hits = sum(output[n, :, h, w].argmax() == target[n, h, w] for n in range(2) for h in range(5) for w in range(6))
    assert accuracy(output, target) == hits / 60


def test_top_k_counts_ranks_and_breaks_ties_by_order():
    target = np.array([0, 2, 1, 1])
    assert [top_k(OUTPUT, target, k) for k in (1, 2, 3)] == [0.0, 0.5, 1.0]
    assert top_k(np.full((5, 4), np.nan), np.zeros(5, int), 1) == 0.0


def test_top_1_is_accuracy():
    rng = np.random.default_rng(0)
    output, target = rng.integers(0, 4, (200, 6)).astype(float), rng.integers(0, 6, 200)
    assert top_k(output, target, 1) == accuracy(output, target)


def test_confusion_matrix_counts():
    target, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 2])
    expected = [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    assert confusion_matrix(predicted, target).tolist() == expected
    assert confusion_matrix(np.eye(3)[predicted], target).tolist() == expected
    assert confusion_matrix(predicted, target, 4).shape == (4, 4)
    assert confusion_matrix(predicted[:0], target[:0], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy(OUTPUT, np.zeros(3, int)), r"\(4, 3\) needs a target of \(4,\), got \(3,\)"),
        (lambda: accuracy(np.zeros(4), np.zeros(3)), r"\(4,\) and target \(3,\)"),
        (lambda: top_k(OUTPUT, np.zeros(3, int)), r"got \(4, 3\) and \(3,\)"),
        (lambda: top_k(OUTPUT, np.zeros(4, int), 4), "k must be in 1..3"),
        (lambda: top_k(OUTPUT, np.full(4, 3), 2), r"labels must be in 0..2, got 3..3"),
        (lambda: top_k(OUTPUT, np.zeros(4), 2), "integers, got float64"),
        (lambda: confusion_matrix(np.zeros(4, int), np.zeros(3, int)), r"predicted \(4,\) and target \(3,\)"),
        (lambda: confusion_matrix(np.array([0, 5]), np.array([0, 1]), 3), "labels must be in 0..2, got 0..5"),
        (lambda: confusion_matrix(np.array([0, -1]), np.array([0, 1])), "got -1..0"),
        (lambda: resolve(["acuracy"]), "unknown metric 'acuracy'; known are 'top5' .any number., 'accuracy'"),
        (lambda: resolve([3]), "unknown metric 3"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_string_is_no_list():
    with pytest.raises(TypeError, match=r"\['accuracy'\]"):
        resolve("accuracy")


def test_names_and_functions():
    def error(output, target):
        return 1 - accuracy(output, target)

    streams = resolve(["accuracy", "top2", error])
    target = np.array([1, 0, 1, 0])
    assert {name: stream(OUTPUT, target) for name, stream in streams.items()} == {
        "accuracy": 0.75,
        "top2": 1.0,
        "error": 0.25,
    }
    assert resolve({"mine": error})["mine"](OUTPUT, target) == 0.25
