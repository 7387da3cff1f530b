"""Runs that are broken off and resumed, and steps of several batches, whatever the data come wrapped in."""

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.data import DataLoader
from fastnn.train import Callback, Checkpoint, EarlyStopping, StopOnNaN, fit, load_checkpoint, save_checkpoint

rng = np.random.default_rng(3)
X = rng.standard_normal((50, 4)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
W = rng.random(50) + 0.5


def noise(x, generator):
    return x + generator.normal(size=x.shape).astype(x.dtype)


class Wrapped:
    """An iterable of one's own around a loader."""

    def __init__(self, loader):
        self.inner = {"loader": loader}
        self.loader = loader

    def __iter__(self):
        return ((x * 2, y) for x, y in self.loader)


class Joined:
    """Batches of two loaders, one after the other."""

    def __init__(self, *loaders):
        self.parts = loaders

    def __iter__(self):
        for loader in self.parts:
            yield from loader


class Named(Wrapped):
    """Batches of a loader that stands in a dictionary, as those for training and testing often do."""

    def __init__(self, loader):
        super().__init__({"train": loader, "classes": [0, 1]})

    def __iter__(self):
        yield from self.loader["train"]


class Slotted:
    __slots__ = ("loader",)

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        yield from self.loader


def loader(seed=5, **options):
    return DataLoader((X, Y), 8, **{"shuffle": True, "seed": seed, **options})


KINDS = {
    "arrays": (lambda: (X, Y), {}),
    "arrays, class weights": (lambda: (X, Y), {"class_weight": "balanced"}),
    "arrays, sample weights": (lambda: (X, Y), {"sample_weight": W, "transform": noise, "prefetch": 2}),
    "loader": (loader, {}),
    "no seed": (lambda: loader(None), {"class_weight": [1.0, 2.0]}),
    "class weights": (loader, {"class_weight": {0: 0.5, 1: 2.0}}),
    "class weights 1": (loader, {"class_weight": [1.0, 1.0]}),
    "three items": (lambda: DataLoader((X, Y, W), 8, shuffle=True, seed=2), {"class_weight": [1.0, 3.0]}),
    "augmented": (lambda: loader(transform=noise), {"class_weight": [1.0, 2.0]}),
    "not shuffled, augmented": (lambda: loader(transform=noise, shuffle=False), {"class_weight": [1.0, 2.0]}),
    "drawn": (lambda: loader(weights="balanced"), {}),
    "prefetch": (lambda: loader(prefetch=3), {"class_weight": [1.0, 2.0]}),
    "accumulate": (loader, {"accumulate": 3, "class_weight": [1.0, 2.0]}),
    "wrapped": (lambda: Wrapped(loader()), {}),
    "wrapped twice": (lambda: Wrapped(Wrapped(loader())), {"class_weight": [1.0, 2.0], "accumulate": 2}),
    "joined": (lambda: Joined(loader(1), loader(2)), {}),
    "in a dictionary": (lambda: Named(loader()), {"class_weight": [1.0, 2.0]}),
    "in a slot": (lambda: Slotted(loader()), {"class_weight": [1.0, 2.0]}),
    "validation": (lambda: (X, Y), {"validation": lambda: loader(7, transform=noise)}),
}


def net(seed):
    fastnn.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2))


def train(seed, data, epochs, callbacks, **options):
    """Every call makes everything anew, as a new process would; data and validation are what makes them."""
    model = net(seed)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    options = {"validation": lambda: (X, Y), **options}
    validation = options.pop("validation")()
    history = fit(model, data(), loss=functional.cross_entropy, optimizer=optimizer, epochs=epochs, progress=False,
                  batch_size=8, validation=validation, metrics=["accuracy"], callbacks=callbacks(),
                  schedule=optim.lr_scheduler.StepLR(optimizer, 1, 0.7), **options)  # fmt: skip
    return model.state_dict(), history


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_is_bit_for_bit_as_uninterrupted(kind, tmp_path):
    data, options = KINDS[kind]

    def callbacks():
        return [EarlyStopping(patience=9), StopOnNaN(), Checkpoint(tmp_path / "c")]

    whole, history = train(1, data, 4, callbacks, **options)
    train(1, data, 2, callbacks, **options)
    resumed, again = train(77, data, 4, callbacks, resume=tmp_path / "c", **options)
    for column in ("loss", "accuracy", "val_loss"):
        assert again[column] == history[column], column
    for name, array in whole.items():
        assert resumed[name].numpy().tobytes() == array.numpy().tobytes(), name


def test_the_first_and_the_second_epoch_differ():
    """Else the test above would be none."""
    for kind in ("class weights", "augmented", "validation"):
        data, options = KINDS[kind]
        made = data() if kind != "validation" else options["validation"]()
        one, two = ([x for x, *_ in made] for _ in range(2))
        assert not all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_run_that_is_pulled_in_the_middle_of_an_epoch(tmp_path):
    class Pull(Callback):
        def on_step_end(self, run):
            if run.step == 17:
                raise RuntimeError("plug")

    data, options = KINDS["wrapped twice"]
    whole, history = train(1, data, 5, lambda: [Checkpoint(tmp_path / "c")], **options)
    (tmp_path / "c").unlink()
    with pytest.raises(RuntimeError, match="plug"):
        train(1, data, 5, lambda: [Checkpoint(tmp_path / "c"), Pull()], **options)
    assert load_checkpoint(tmp_path / "c")["epoch"] == 4
    resumed, again = train(9, data, 5, lambda: [Checkpoint(tmp_path / "c")], resume=tmp_path / "c", **options)
    assert again["loss"] == history["loss"]
    assert all(resumed[name].numpy().tobytes() == array.numpy().tobytes() for name, array in whole.items())


def test_a_loader_that_was_used_before(tmp_path):
    """A run need not begin with the first epoch of its loader."""

    def used():
        made = loader()
        for _ in range(3):
            list(made)
        return made

    def callbacks():
        return [Checkpoint(tmp_path / "c")]

    whole, _ = train(1, used, 4, callbacks)
    train(1, used, 2, callbacks)
    resumed, _ = train(5, loader, 4, callbacks, resume=tmp_path / "c")
    assert all(resumed[name].numpy().tobytes() == array.numpy().tobytes() for name, array in whole.items())


def test_checkpoints_without_the_epochs_of_loaders(tmp_path):
    data, options = KINDS["class weights"]
    whole, _ = train(1, data, 4, lambda: [Checkpoint(tmp_path / "c")], **options)
    train(1, data, 2, lambda: [Checkpoint(tmp_path / "c")], **options)
    state = load_checkpoint(tmp_path / "c")
    del state["loaders"]
    save_checkpoint(tmp_path / "c", state)
    resumed, _ = train(6, data, 4, lambda: [Checkpoint(tmp_path / "c")], resume=tmp_path / "c", **options)
    assert all(resumed[name].numpy().tobytes() == array.numpy().tobytes() for name, array in whole.items())


# --- several batches in one step


class Unsized:
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(self.data)


class Liar(Unsized):
    """Says that it has more batches than it gives."""

    def __len__(self):
        return 99


def cut(sizes, weights=False):
    """Batches of these sizes, of the data in order."""
    ends = np.cumsum(sizes)
    arrays = (X, Y, W) if weights else (X, Y)
    return [tuple(a[end - size : end] for a in arrays) for size, end in zip(sizes, ends, strict=True)]


def step_sizes(data, loss=functional.cross_entropy, **options):
    """Train with SGD for one epoch; give the weights after each step."""
    fastnn.manual_seed(1)
    model, seen = nn.Linear(4, 2).double(), []

    class Watch(Callback):
        def on_step_end(self, run):
            seen.append(run.model.state_dict()["weight"])

    fit(model, data, loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.5), progress=False, callbacks=[Watch()],
        **options)  # fmt: skip
    return seen


def as64(batches):
    return [(x.astype(np.float64), *rest) for x, *rest in batches]


WRAPPED = {
    "list": lambda batches: batches,
    "unsized": Unsized,
    "liar": Liar,
}
WEIGHTS = {
    "none": {},
    "class weights 1": {"class_weight": [1.0, 1.0]},
    "class weights": {"class_weight": {0: 0.25, 1: 3.0}},
}


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("accumulate", [1, 2, 3, 4, 10, 99])
def test_several_batches_are_one_large_batch(wrap, weights, accumulate):
    """Ten batches, the last of them smaller: every step is that of one batch of all its samples."""
    sizes = [5] * 9 + [2]
    given = step_sizes(WRAPPED[wrap](as64(cut(sizes))), accumulate=accumulate, **WEIGHTS[weights])
    groups = [sum(sizes[i : i + accumulate]) for i in range(0, 10, accumulate)]
    expected = step_sizes(as64(cut(groups)), **WEIGHTS[weights])
    assert len(given) == len(expected) == -(-10 // accumulate)
    np.testing.assert_allclose(given, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("accumulate", [2, 3, 4])
def test_weights_of_samples_too(accumulate):
    sizes = [5] * 9 + [2]
    given = step_sizes(Unsized(as64(cut(sizes, True))), accumulate=accumulate)
    groups = [sum(sizes[i : i + accumulate]) for i in range(0, 10, accumulate)]
    np.testing.assert_allclose(given, step_sizes(as64(cut(groups, True))), rtol=1e-9, atol=1e-12)


def test_all_kinds_of_data_agree():
    """Class weights of 1 must change nothing, with arrays, loaders and lists."""
    arrays = X.astype(np.float64), Y
    expected = step_sizes(as64(cut([20, 20, 10])))
    loader = DataLoader(arrays, 5)
    for options in WEIGHTS["none"], WEIGHTS["class weights 1"]:
        for data in (loader, Wrapped.__new__(Wrapped)):
            if isinstance(data, Wrapped):
                data.loader = [(x / 2, y) for x, y in loader]
            given = step_sizes(data, accumulate=4, **options)
            np.testing.assert_allclose(given, expected, rtol=1e-9, atol=1e-12)
    assert len(step_sizes(arrays, accumulate=4, batch_size=5, class_weight="balanced", sample_weight=W)) == 3


def test_batches_without_weight():
    """A group whose first batch weighs nothing, and one that weighs nothing at all."""
    batches = as64(cut([5, 5, 5, 5]))
    weights = [np.zeros(5), np.ones(5), np.zeros(5), np.zeros(5)]
    given = step_sizes([(x, y, w) for (x, y), w in zip(batches, weights, strict=True)], accumulate=2)
    expected = step_sizes(batches[1:2])
    np.testing.assert_allclose(given, [expected[0], expected[0]], rtol=1e-9)


def test_gradients_are_clipped_as_those_of_the_whole_group():
    from fastnn.train import ClipGradients

    seen = []

    class Watch(Callback):
        def on_gradients(self, run):
            seen.append(run.model.weight.grad.numpy().copy())

    model = nn.Linear(4, 2).double()
    state = model.state_dict()
    for data, accumulate in ((as64(cut([4, 3])), 2), (as64(cut([7])), 1)):
        model.load_state_dict(state)
        fit(model, data, loss=functional.cross_entropy, optimizer=optim.SGD(model.parameters(), lr=0.5),
            progress=False, accumulate=accumulate, callbacks=[ClipGradients(norm=0.01), Watch()])  # fmt: skip
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-9)
