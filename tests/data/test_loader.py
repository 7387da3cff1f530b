"""Batches: every sample once per epoch, in a seeded order, in the form of the data set."""

import threading
import time

import numpy as np
import pytest

import fastnn
from fastnn.data import DataLoader, Mixup, balanced_weights

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10)


@pytest.mark.parametrize("prefetch", [0, 1, 3])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 64])
def test_every_sample_once(shuffle, batch_size, prefetch):
    loader = DataLoader((X, Y), batch_size, shuffle=shuffle, seed=0, prefetch=prefetch)
    drawn = list(loader)
    assert len(drawn) == len(loader)
    assert all(len(x) == len(y) == batch_size for x, y in drawn[:-1])
    y = np.concatenate([y for _, y in drawn])
    x = np.concatenate([x for x, _ in drawn])
    np.testing.assert_array_equal(x, X[y])
    np.testing.assert_array_equal(np.sort(y), Y)
    assert np.array_equal(y, Y) != shuffle


def test_many_batches_gathered_at_once_stay_as_they_were():
    x = np.arange(100_000.0).reshape(-1, 10)
    kept = list(DataLoader((x, x[:, 0]), 7, shuffle=True, seed=3))
    assert len(kept) == 1429
    for rows, first in kept:
        np.testing.assert_array_equal(rows[:, 0], first)
        np.testing.assert_array_equal(rows[:, 9], first + 9)


def test_drop_last():
    loader = DataLoader((X, Y), 4, drop_last=True)
    assert [len(x) for x, _ in loader] == [4, 4] and len(loader) == 2 and loader.samples == 8
    assert [len(x) for x, _ in DataLoader((X, Y), 10, drop_last=True)] == [10]
    with pytest.raises(ValueError, match="leaves nothing of 10 samples at batch_size 11"):
        DataLoader((X, Y), 11, drop_last=True)


def order(loader):
    return np.concatenate([y for _, y in loader])


def test_seeded_and_new_every_epoch():
    first, second = (DataLoader((X, Y), 4, shuffle=True, seed=7) for _ in range(2))
    epochs = [order(loader) for loader in (first, second, first)]
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], epochs[2])
    second.epoch = 1
    np.testing.assert_array_equal(order(second), epochs[2])
    orders = []
    for _ in range(2):
        fastnn.manual_seed(5)
        orders.append(order(DataLoader((X, Y), 4, shuffle=True)))
    np.testing.assert_array_equal(*orders)


def test_batches_have_the_form_of_the_data():
    batch = next(iter(DataLoader({"image": X, "label": Y, "id": Y + 1}, 4, shuffle=True)))
    assert list(batch) == ["image", "label", "id"] and batch["image"].shape == (4, 2)
    np.testing.assert_array_equal(batch["label"] + 1, batch["id"])
    x, y, z = next(iter(DataLoader((X, Y, Y), 4)))
    assert x.shape == (4, 2) and y is not z
    assert next(iter(DataLoader(X, 4))).shape == (4, 2)


def test_weights_draw_with_replacement():
    labels = np.repeat([0, 1], [900, 100])
    y = order(DataLoader((np.zeros(1000), labels), 50, weights="balanced", seed=0))
    assert len(y) == 1000 and 440 < y.sum() < 560
    weights = np.zeros(1000)
    weights[17], weights[950] = 1, 3
    drawn = np.concatenate([i for i, _ in DataLoader((np.arange(1000), labels), 50, weights=weights, seed=0)])
    assert set(drawn) == {17, 950} and 700 < (drawn == 950).sum() < 800


def test_balanced_weights():
    np.testing.assert_allclose(balanced_weights([0, 0, 0, 5]), [2 / 3] * 3 + [2.0])
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_sample_weight
    labels = np.random.default_rng(0).integers(3, 9, 50)
    np.testing.assert_allclose(balanced_weights(labels), compute("balanced", labels))


def test_memory_mapped_files(tmp_path):
    x = np.random.default_rng(0).random((1000, 30))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for prefetch in (0, 2):
        loader = DataLoader((mapped, np.arange(1000)), 100, shuffle=True, prefetch=prefetch, dtype=np.float32)
        assert any(a is mapped or a.base is mapped or a.base is mapped.base for a in loader.arrays)  # nothing was read
        for rows, i in loader:
            assert rows.dtype == np.float32 and type(rows) is np.ndarray
            np.testing.assert_array_equal(rows, x[i].astype(np.float32))


# --- transforms and threads


def jitter(x, generator):
    return x + generator.standard_normal(x.shape)


def test_transform_changes_x_only():
    loader = DataLoader((X, Y), 4, shuffle=True, seed=0, transform=lambda x, generator: -x)
    for x, y in loader:
        np.testing.assert_array_equal(x, -X[y])


def test_prefetching_gives_the_same_batches():
    runs = []
    for prefetch in (0, 1, 8):
        loader = DataLoader((X, Y), 3, shuffle=True, seed=1, transform=jitter, prefetch=prefetch)
        runs.append([np.concatenate([x for x, _ in loader]) for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    assert not np.array_equal(*runs[0])


def test_targets_may_change_too():
    x, y = next(iter(DataLoader((np.eye(6, dtype=np.float32), np.arange(6)), 6, transform=Mixup(1.0, classes=6))))
    np.testing.assert_allclose(x, y)
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)


def test_prefetching_works_ahead_but_not_too_far():
    made = []
    loader = DataLoader((X, Y), 1, prefetch=2, transform=lambda x, generator: made.append(1) or x)
    batches = iter(loader)
    next(batches)
    while len(made) < 4:  # if they never come, the test's time limit ends this
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(made) == 4  # the one taken, two that wait, one for which there is no room
    del batches  # ends the thread


def test_an_error_in_the_thread_arrives_and_the_thread_ends():
    def fail(x, generator):
        if x[0, 0] >= 8:
            raise RuntimeError("no more")
        return x

    seen = []
    with pytest.raises(RuntimeError, match="no more"):
        for x, _ in DataLoader((X, Y), 2, prefetch=2, transform=fail):
            seen.append(x)
    assert len(seen) == 2
    assert not [thread for thread in threading.enumerate() if thread.name == "fastnn-loader"]


def test_leaving_early_ends_the_thread():
    for _ in DataLoader((X, Y), 1, prefetch=2):
        break
    while any(thread.name == "fastnn-loader" for thread in threading.enumerate()):
        time.sleep(0.01)  # if it never ends, the test's time limit ends this


# --- bad input


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ((X, Y[:9]), {}, ValueError, r"\(10, 2\), \(9,\)"),
        ((X[:0], Y[:0]), {}, ValueError, r"empty: shapes \(0, 2\), \(0,\)"),
        ({"x": X, "y": Y[:3]}, {}, ValueError, r"\(10, 2\), \(3,\)"),
        ((), {}, TypeError, "an array, or a tuple or dict of arrays, got an empty tuple"),
        (3, {}, TypeError, "got int"),
        ((X.astype(object), Y), {}, TypeError, "arrays of objects"),
        ((X, Y), {"batch_size": 0}, ValueError, "batch_size must be a positive integer, got 0"),
        ((X, Y), {"batch_size": 2.5}, ValueError, "got 2.5"),
        ((X, Y), {"batch_size": True}, ValueError, "got True"),
        ((X, Y), {"prefetch": -1}, ValueError, "prefetch must be a number of batches from 0, got -1"),
        ((X, Y), {"seed": -1}, ValueError, "seed must be an integer from 0, got -1"),
        ((X, Y), {"transform": 3}, TypeError, "transform must be a function, got int"),
        ((X,), {"transform": Mixup(1.0)}, ValueError, "changes targets as well"),
        ((X, Y), {"weights": np.ones(9)}, ValueError, r"weights must be 10 finite numbers .* got shape \(9,\)"),
        ((X, Y), {"weights": -np.ones(10)}, ValueError, "weights must be 10 finite numbers"),
        ((X, Y), {"weights": np.full(10, np.nan)}, ValueError, "weights must be 10 finite numbers"),
        ((X, Y), {"weights": np.zeros(10)}, ValueError, "not all 0"),
        ((X, Y), {"weights": "even"}, ValueError, "numbers or 'balanced', got 'even'"),
        ((Y, X), {"weights": "balanced"}, ValueError, r"balanced_weights: labels must be integers \(N,\), got float64"),
    ],
)
def test_bad_input(data, options, error, message):
    with pytest.raises(error, match=message):
        DataLoader(data, **options)


@pytest.mark.parametrize(
    ("made", "shapes"), [(lambda x, g: x[:2], r"\(2, 2\), \(5,\)"), (lambda x, g: None, r"\(\), \(5,\)")]
)
def test_transforms_must_give_as_many_samples(made, shapes):
    with pytest.raises(ValueError, match=f"after transform a batch of 5 samples has shapes {shapes}"):
        next(iter(DataLoader((X, Y), 5, transform=made)))


def test_it_shows_what_it_does():
    assert repr(DataLoader(np.zeros((9, 2)))) == "DataLoader(arrays, batch_size=32, shuffle=False)"
    assert repr(DataLoader([1, 2], 2, shuffle=True)) == "DataLoader(list, batch_size=2, shuffle=True)"
    assert repr(DataLoader([1, 2], batch_sampler=[[0]])) == "DataLoader(list, batch_sampler=..., shuffle=False)"
