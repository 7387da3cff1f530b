"""The loader over items and tensors: the same batches with and without workers, and PyTorch's habits."""

import copy
import multiprocessing
import pickle
import threading
import time

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn, optim
from fastnn import functional as F
from fastnn.train import fit
from fastnn.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, get_worker_info, random_split

X, Y = np.arange(24, dtype=np.float32).reshape(12, 2), np.arange(12)


class Rows(Dataset):
    """Rows of an array, some of which take longer."""

    def __init__(self, n=12, slow=()):
        self.n, self.slow = n, slow

    def __getitem__(self, i):
        if i in self.slow:
            time.sleep(0.02)
        return X[i], int(Y[i])

    def __len__(self):
        return self.n


class Shared(IterableDataset):
    """Numbers below n; workers share them out, as PyTorch's documentation has it."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.n, step))


class Labelled(IterableDataset):
    def __iter__(self):
        return iter([(X[i], int(Y[i] % 2)) for i in range(12)])


class Failing(Dataset):
    def __getitem__(self, i):
        if i == 5:
            raise KeyError("no row 5")
        return i

    def __len__(self):
        return 8


def told(worker):
    get_worker_info().dataset.n = 4


def labels(loader):
    return [batch[1].tolist() for batch in loader]


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("fastnn-")]


def test_batches_of_items_are_tensors():
    loader = DataLoader(Rows(), batch_size=5)
    x, y = next(iter(loader))
    assert isinstance(x, Tensor) and x.shape == (5, 2) and y.dtype == np.int64 and y.size(0) == 5
    assert labels(loader) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]] and len(loader) == 3
    assert len(loader.dataset) == 12 and loader.samples == 12 and loader.batch_size == 5
    assert len(DataLoader(Rows())) == 12  # the batch size is 1
    assert labels(DataLoader(Rows(), 5, drop_last=True)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert labels(DataLoader(Rows(), 50, drop_last=True)) == []
    assert [b.tolist() for b in DataLoader([3, 4, 5], 2)] == [[3, 4], [5]]
    assert list(DataLoader([], 2)) == [] and list(DataLoader([], 2, shuffle=True)) == []


def test_tensor_data_sets_are_cut():
    data = TensorDataset(Tensor(X), Tensor(Y))
    loader = DataLoader(data, 5)
    batch = next(iter(loader))
    assert isinstance(batch, list) and all(isinstance(part, Tensor) for part in batch)
    assert labels(loader) == labels(DataLoader(Rows(), 5)) and len(loader.dataset) == 12
    batch[0][...] = -1
    assert X[0, 0] == 0, "batches have memory of their own"
    assert next(iter(DataLoader(data)))[0].shape == (1, 2)
    first, second = random_split(data, [8, 4], np.random.default_rng(0))
    got = [i for part in (first, second) for batch in labels(DataLoader(part, 3, shuffle=True)) for i in batch]
    assert sorted(got) == list(range(12)) and sorted(got[:8]) == sorted(first.indices)
    for x, y in DataLoader(Subset(first, [1, 0, -1]), 2):
        np.testing.assert_array_equal(x.numpy()[:, 0], 2 * y.numpy())
    assert list(DataLoader(TensorDataset(X[:0]), 2)) == [] and labels(DataLoader(data, 20, drop_last=True)) == []


def test_tensors_stay_tensors_and_arrays_arrays():
    x, y = next(iter(DataLoader((Tensor(X), Y), 4)))
    assert isinstance(x, Tensor) and isinstance(y, np.ndarray)
    assert isinstance(next(iter(DataLoader(Tensor(X), 4))), Tensor)
    assert len(DataLoader((X, Y), 5).dataset) == 12 and DataLoader((X, Y)).dataset[3][1] == 3
    assert DataLoader({"x": X}).dataset[3]["x"].tolist() == [6, 7]


@pytest.mark.parametrize("options", [{}, {"shuffle": True, "seed": 3}, {"drop_last": True}, {"batch_size": None}])
def test_workers_change_nothing(options):
    options = {"batch_size": 5, **options}
    expected = [[labels(loader) if loader.batch_size else [y for _, y in loader] for _ in range(2)]
                for loader in [DataLoader(Rows(), **options)]]  # fmt: skip
    for more in ({"num_workers": 1}, {"num_workers": 3}, {"num_workers": 20}, {"num_workers": 2, "prefetch_factor": 1},
                 {"num_workers": 2, "persistent_workers": True}, {"prefetch": 2}):  # fmt: skip
        loader = DataLoader(Rows(slow=(0, 7)), **options, **more)
        assert [[labels(loader) if loader.batch_size else [y for _, y in loader] for _ in range(2)]] == expected, more
        del loader
        assert not threads()


def test_collate_of_ones_own():
    got = list(DataLoader(Rows(), 4, collate_fn=lambda items: [y for _, y in items], num_workers=2))
    assert got == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    got = list(DataLoader(TensorDataset(X, Y), 6, collate_fn=len))
    assert got == [6, 6]
    assert [len(b) for b in DataLoader((X, Y), collate_fn=lambda items: items)] == [12]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_data_sets_to_go_through(workers):
    loader = DataLoader(Shared(11), 2, num_workers=workers)
    for _ in range(2):
        got = [batch.tolist() for batch in loader]
        assert sorted(i for batch in got for i in batch) == list(range(11))
    if workers == 3:  # in turns, as far as they go
        assert got == [[0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8]]
    assert [b.tolist() for b in DataLoader(Shared(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Shared(3), None)) == [0, 1, 2]
    assert loader.samples is None
    with pytest.raises(TypeError, match="has no len"):
        len(loader)


def test_workers_know_who_they_are():
    seen = []

    class Telling(Rows):
        def __getitem__(self, i):
            info = get_worker_info()
            seen.append((i, info.id, info.num_workers, info.seed, info.dataset is self))
            return i

    fastnn.manual_seed(1)
    list(DataLoader(Telling(), 3, num_workers=2))
    assert {(i // 3 % 2, 2, True) for i in range(12)} == {(w, n, same) for _, w, n, _, same in seen}
    assert all(worker == i // 3 % 2 for i, worker, *_ in seen) and len({seed for *_, seed, _ in seen}) == 2
    first = {worker: seed for _, worker, _, seed, _ in seen}
    seen.clear()
    fastnn.manual_seed(1)
    list(DataLoader(Telling(), 3, num_workers=2))
    assert {worker: seed for _, worker, _, seed, _ in seen} == first
    assert get_worker_info() is None


def test_workers_are_set_up():
    data = Shared(9)
    assert sorted(i for b in DataLoader(data, 2, num_workers=2, worker_init_fn=told) for i in b.tolist()) == [
        0,
        1,
        2,
        3,
    ]
    assert data.n == 9, "a worker has a data set of its own"
    with pytest.raises(AttributeError, match="dataset"):  # there is no info without a worker
        told(0)

    def bad(worker):
        raise RuntimeError("not set up")

    with pytest.raises(RuntimeError, match="not set up"):
        list(DataLoader(Rows(), num_workers=1, worker_init_fn=bad))


def test_errors_arrive_with_their_traceback():
    with pytest.raises(KeyError, match="no row 5"):
        list(DataLoader(Failing(), 2))
    with pytest.raises(KeyError, match="no row 5") as caught:
        list(DataLoader(Failing(), 2, num_workers=2))
    assert any(entry.name == "__getitem__" for entry in caught.traceback)
    assert "in worker 0 of 2 of the DataLoader, a thread" in caught.value.__notes__
    assert not threads()


def test_leaving_early_ends_the_workers():
    for _ in DataLoader(Rows(), 1, num_workers=3):
        break
    while threads():
        time.sleep(0.01)  # if they never end, the test's time limit ends this


def test_a_worker_may_be_too_slow():
    release = threading.Event()

    class Stuck(Rows):
        def __getitem__(self, i):
            release.wait(60)
            return i

    try:
        with pytest.raises(RuntimeError, match="worker 0 gave no batch within timeout=0.05 seconds"):
            list(DataLoader(Stuck(), num_workers=1, timeout=0.05))
    finally:
        release.set()


def test_persistent_workers_serve_one_loop_at_a_time():
    loader = DataLoader(Rows(), 1, num_workers=2, persistent_workers=True)
    first = iter(loader)
    next(first)
    assert len(labels(loader)) == 12
    with pytest.raises(RuntimeError, match="a new loop over the loader ends the one before"):
        list(first)


def test_processes():
    context = multiprocessing.get_context("spawn")
    loader = DataLoader(Rows(), 5, num_workers=2, multiprocessing_context=context, persistent_workers=True)
    assert labels(loader) == labels(loader) == labels(DataLoader(Rows(), 5))
    loader = DataLoader(Shared(9), 2, num_workers=1, multiprocessing_context="spawn", worker_init_fn=told)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3]]
    with pytest.raises(KeyError, match="no row 5") as caught:
        list(DataLoader(Failing(), 2, num_workers=1, multiprocessing_context="spawn"))
    assert "in __getitem__" in str(caught.value.__cause__)
    assert "in worker 0 of 1 of the DataLoader, a process" in caught.value.__notes__
    with pytest.raises(ValueError, match="multiprocessing_context must be a context or one of"):
        DataLoader(Rows(), num_workers=1, multiprocessing_context="threads")


@pytest.mark.parametrize("way", [copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
def test_copies(way):
    loader = DataLoader(Rows(), 5, shuffle=True, seed=2, num_workers=2, persistent_workers=True)
    list(loader)
    assert labels(way(loader)) == labels(loader)
    assert way(DataLoader(Rows(), multiprocessing_context="spawn")).multiprocessing_context is not None


def test_training_on_tensors_and_items():
    weights = []
    doubles = TensorDataset(X.astype(np.float64), Y % 2)
    for data in (DataLoader((X, Y % 2), 4), DataLoader(TensorDataset(X, Y % 2), 4),
                 DataLoader([(X[i], int(Y[i] % 2)) for i in range(12)], 4, num_workers=1)):  # fmt: skip
        fastnn.manual_seed(0)
        model = nn.Linear(2, 2)
        history = fit(model, data, loss=F.cross_entropy, optimizer=optim.SGD(model.parameters(), lr=0.01),
                      metrics=["accuracy", "f1"], validation=data, epochs=2, progress=False)  # fmt: skip
        weights.append((history["loss"], history["val_accuracy"], model.weight.numpy().tolist()))
    assert weights[0] == weights[1] == weights[2]
    losses = []
    for data in ((X, Y % 2), TensorDataset(X, Y % 2), doubles, Subset(doubles, range(12))):
        fastnn.manual_seed(0)
        model = nn.Linear(2, 2)
        history = fit(model, data, loss="cross_entropy", optimizer="sgd", lr=0.01, validation=data, epochs=2,
                      batch_size=4, progress=False)  # fmt: skip
        losses.append((history["loss"], history["val_loss"]))
    assert all(each == losses[0] for each in losses)
    for data, weights in ((Labelled(), None), (Rows(2), {0: 2.0}), (Labelled(), {1: 0.5})):
        fit(nn.Linear(2, 2), data, loss="cross_entropy", optimizer="sgd", class_weight=weights, progress=False)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (Rows(), {"sampler": [0], "shuffle": True}, ValueError, "shuffle and sampler exclude one another"),
        (Rows(), {"batch_sampler": [[0]], "batch_size": 3}, ValueError, "leave batch_size out"),
        (Rows(), {"batch_sampler": [[0]], "shuffle": True}, ValueError, "shuffle and batch_sampler exclude"),
        (Rows(), {"batch_size": None, "drop_last": True}, ValueError, "drop_last needs a batch_size"),
        (Rows(), {"transform": lambda x, g: x}, ValueError, "transform is for arrays"),
        (Rows(), {"dtype": np.float32}, ValueError, "dtype is for arrays"),
        (Rows(), {"weights": "balanced"}, ValueError, "needs arrays"),
        (Rows(), {"num_workers": -1}, ValueError, "num_workers must be a number of workers from 0, got -1"),
        (Rows(), {"prefetch_factor": 0}, ValueError, "prefetch_factor must be a positive integer"),
        (Rows(), {"timeout": -1}, ValueError, "timeout must be a number of seconds from 0"),
        (Rows(), {"collate_fn": 3}, TypeError, "collate_fn must be a function, got int"),
        (Rows(), {"generator": 3}, TypeError, "generator must be"),
        (Shared(3), {"shuffle": True}, ValueError, "an IterableDataset decides about the order itself: leave shuffle"),
        (Shared(3), {"sampler": [1]}, ValueError, "leave sampler out"),
        (iter([1]), {}, TypeError, "list_iterator; what can only be gone through must be an IterableDataset"),
        (Dataset(), {}, TypeError, "a Dataset has no __len__: give a sampler"),
        ("text", {}, TypeError, "got str"),
    ],
)  # fmt: skip
def test_bad_arguments(data, options, error, message):
    with pytest.raises(error, match=message):
        DataLoader(data, **options)


def test_names_stand_where_pytorch_has_them():
    from fastnn.utils import data
    from fastnn.utils.data import dataloader, dataset, sampler

    names = {*dataloader.__all__, *dataset.__all__, *sampler.__all__}
    assert names == set(data.__all__) and fastnn.utils.data is data
    for module in (dataloader, dataset, sampler):
        assert all(getattr(module, name) is getattr(fastnn.data, name) for name in module.__all__)


def test_arguments_of_pytorch_in_their_places():
    loader = DataLoader(Rows(), 4, False, None, None, 2, None, True, True, 0, None, None, np.random.default_rng(0),
                        prefetch_factor=4, pin_memory_device="cuda", in_order=True)  # fmt: skip
    assert len(list(loader)) == 3 and loader.drop_last and loader.num_workers == 2
