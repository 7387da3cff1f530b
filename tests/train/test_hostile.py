"""Damaged and hostile files: one error that names file and field, nothing changed, no memory taken."""

import copy
import json
import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, functional, nn, optim
from fastnn.data import DataLoader
from fastnn.train import (
    Checkpoint,
    EarlyStopping,
    LoadError,
    fit,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from fastnn.train.checkpoint import _sealed, _split

rng = np.random.default_rng(3)
X = rng.standard_normal((20, 4)).astype(np.float32)
Y = rng.integers(0, 2, 20)
OPTIMIZERS = {
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "sgd": lambda p: optim.SGD(p, lr=0.01, momentum=0.9),
    "nadam": lambda p: optim.NAdam(p, lr=0.01),
}
SCHEDULES = {
    "plateau": lambda o: optim.lr_scheduler.ReduceLROnPlateau(o),
    "cycle": lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=40, cycle_momentum=False),
    "function": lambda o: lambda done: 1 - done,
}
BAD = [None, True, -1, 1.5, float("nan"), 10**400, 2**70, "x", [], {}, [1, 2], {"a": 1}, np.zeros(3), np.zeros((2, 9)),
       np.zeros(2, bool), [[[]]]]  # fmt: skip


class Run:
    """Everything that a file could change, made anew for every try."""

    def __init__(self, optimizer="adam", schedule="plateau"):
        fastnn.manual_seed(11)
        self.model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.schedule = SCHEDULES[schedule](self.optimizer)
        self.loader = DataLoader((X, Y), 5, shuffle=True, seed=1)
        self.stopping = EarlyStopping(patience=3)

    def fit(self, epochs, path, **options):
        return fit(self.model, self.loader, loss=functional.cross_entropy, optimizer=self.optimizer, epochs=epochs,
                   schedule=self.schedule, validation=(X, Y), progress=False,
                   callbacks=[self.stopping, Checkpoint(path, monitor="val_loss")], **options)  # fmt: skip

    def snapshot(self):
        schedule = self.schedule.state_dict() if hasattr(self.schedule, "state_dict") else {}
        return copy.deepcopy([self.model.state_dict(), self.optimizer.state_dict(), schedule, self.loader.epoch,
                              self.stopping.state_dict(), fastnn.random.get_state()])  # fmt: skip


def same(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | Tensor):
        return np.array_equal(a, b, equal_nan=True)
    return a == b or (a != a and b != b)


def places(tree, path=()):
    """Give the path of every part of a tree."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def changed(tree, path, value):
    """Give a tree with another value at a place; without it, if value is `changed`."""
    if not path:
        return value
    key, *rest = path
    if isinstance(tree, dict):
        if not rest and value is changed:
            return {k: v for k, v in tree.items() if k != key}
        return {k: changed(v, rest, value) if k == key else v for k, v in tree.items()}
    if not rest and value is changed:
        return type(tree)(v for k, v in enumerate(tree) if k != key)
    return type(tree)(changed(v, rest, value) if k == key else v for k, v in enumerate(tree))


def broken(state, seed, every):
    """Give trees in which one part is missing or of another kind; only some of them, to save time."""
    for number, path in enumerate(places(state)):
        for kind, bad in enumerate([*BAD, changed]):
            if path and (number * 31 + kind + seed) % every == 0:
                yield path, changed(state, path, bad)


def unsealed(path, state):
    """Write a file without a checksum, as they were before."""
    arrays = {}
    tree = _split(state, "", arrays)
    from safetensors.numpy import save

    path.write_bytes(save(arrays, {"fastnn": json.dumps({"format": 1, "state": tree})}))


@pytest.mark.parametrize(("optimizer", "schedule"), [*zip(OPTIMIZERS, SCHEDULES, strict=True)])
def test_resuming_is_all_or_nothing(optimizer, schedule, tmp_path):
    Run(optimizer, schedule).fit(2, tmp_path / "good")
    state = load_checkpoint(tmp_path / "good")
    refused = 0
    for path, bad in broken(state, len(optimizer), 11):
        run = Run(optimizer, schedule)
        before = run.snapshot()
        save_checkpoint(tmp_path / "bad", bad)
        try:
            run.fit(1, tmp_path / "new", resume=tmp_path / "bad")
        except LoadError as error:
            refused += 1
            assert "bad" in str(error) and error.path == str(tmp_path / "bad"), path
            assert same(run.snapshot(), before), path
    assert refused > 60


def test_loading_is_all_or_nothing(tmp_path):
    run = Run()
    run.fit(1, tmp_path / "c")
    fastnn.save(run.model, tmp_path / "good", optimizer=run.optimizer, config={"a": [1, 2]})
    state = load_checkpoint(tmp_path / "good")
    refused = 0
    for path, bad in broken(state, 3, 11):
        run = Run()
        before = run.snapshot()
        save_checkpoint(tmp_path / "bad", bad)
        for given in ({}, {"model": run.model, "optimizer": run.optimizer, "random": True}):
            try:
                fastnn.load(tmp_path / "bad", **given)
                if given:
                    run = Run()
            except LoadError as error:
                refused += 1
                assert error.path == str(tmp_path / "bad")
                assert same(run.snapshot(), before), path
            fastnn.manual_seed(11)
            before = Run().snapshot()
            run = Run()
    assert refused > 60


def test_the_field_is_named(tmp_path):
    Run().fit(2, tmp_path / "good")
    state = load_checkpoint(tmp_path / "good")
    for path, value, field in (
        (("epoch",), "x", "epoch"),
        (("step",), 10**400, "step"),
        (("model", "0.weight"), np.zeros(3), "model"),
        (("optimizer", "param_groups", 0, "lr"), float("nan"), "optimizer"),
        (("optimizer", "state", 0, "step"), float("nan"), "optimizer"),
        (("random", "seed"), -1, "random"),
        (("history", "loss"), [1.0], "history"),
        (("history", "loss"), ["a", "b"], "history.loss"),
        (("loaders", "data"), [-1], "loaders.data"),
        (("callbacks", 0, "schedule", "last_epoch"), "x", "callbacks.0"),
        (("callbacks", 1, "waited"), None, "callbacks.1.waited"),
        (("callbacks", 1, "weights"), {"0.weight": np.zeros(3)}, "callbacks.1"),
        (("callbacks", 2, "best"), "x", "callbacks.2.best"),
        (("callbacks",), 3, "callbacks"),
        (("random",), changed, "random"),
    ):
        save_checkpoint(tmp_path / "bad", changed(state, path, value))
        with pytest.raises(LoadError) as caught:
            Run().fit(3, tmp_path / "new", resume=tmp_path / "bad")
        assert caught.value.field == field and field in str(caught.value) and "fit: " in str(caught.value)
        assert isinstance(caught.value, ValueError)


def test_a_callback_that_refuses_undoes_everything(tmp_path):
    class Refuses(fastnn.train.Callback):
        def state_dict(self):
            return {"a": 1}

        def load_state_dict(self, state):
            self.half = True
            raise KeyError("missing")

    Run().fit(1, tmp_path / "good")
    run, refuses = Run(), Refuses()
    before = run.snapshot()
    with pytest.raises(LoadError, match=r"callbacks\.1 cannot be loaded: KeyError"):
        fit(run.model, run.loader, loss=functional.cross_entropy, optimizer=run.optimizer, schedule=run.schedule,
            callbacks=[refuses], resume=tmp_path / "good", progress=False)  # fmt: skip
    assert same(run.snapshot(), before) and not hasattr(refuses, "half")


def test_settings_that_only_the_file_has_go_again(tmp_path):
    """A schedule writes to the optimizer's groups what one without a schedule does not have."""
    Run().fit(1, tmp_path / "good")
    run = Run(schedule="function")
    before = run.snapshot()
    with pytest.raises(LoadError, match=r"callbacks\.0\.rates"):
        run.fit(2, tmp_path / "spoilt", resume=tmp_path / "good")
    assert same(run.snapshot(), before)


# --- flipped bits


@pytest.mark.parametrize("kind", ["checkpoint", "save", "weights"])
def test_every_flipped_bit_is_found(kind, tmp_path):
    run, file = Run(), tmp_path / "file"
    run.fit(1, file)
    if kind == "save":
        fastnn.save(run.model, file, optimizer=run.optimizer)
    elif kind == "weights":
        save_weights(run.model, file)
    content = file.read_bytes()
    before = run.snapshot()
    step = max(len(content) // 150, 1)
    for place in [*range(0, len(content), step), *range(8, 60), *range(len(content) - 40, len(content))]:
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << int(rng.integers(8))
        if content[place : place + 1] in b'"crc32":' and b"crc32" in content[max(place - 8, 0) : place + 16]:
            continue  # without the name of the checksum it is a file of before; its numbers are whole
        file.write_bytes(bytes(spoilt))
        with pytest.raises(LoadError):
            if kind == "checkpoint":
                run.fit(2, tmp_path / "new", resume=file)
            elif kind == "save":
                fastnn.load(file, run.model, optimizer=run.optimizer)
            else:
                load_weights(run.model, file)
        assert same(run.snapshot(), before)


def test_files_without_a_checksum_still_load(tmp_path):
    run = Run()
    run.fit(2, tmp_path / "new")
    unsealed(tmp_path / "old", load_checkpoint(tmp_path / "new"))
    assert b"crc32" in (tmp_path / "new").read_bytes() and b"crc32" not in (tmp_path / "old").read_bytes()
    assert len(Run().fit(3, tmp_path / "x", resume=tmp_path / "old")["loss"]) == 3
    from safetensors.numpy import save_file

    save_file({name: array.numpy() for name, array in run.model.state_dict().items()}, tmp_path / "weights")
    load_weights(Run().model, tmp_path / "weights")


def test_damage_to_files_without_a_checksum(tmp_path):
    Run().fit(1, tmp_path / "new")
    unsealed(tmp_path / "old", load_checkpoint(tmp_path / "new"))
    content = (tmp_path / "old").read_bytes()
    damage = np.random.default_rng(0)
    for number in range(200):
        spoilt = bytearray(content)
        if number % 4:
            spoilt[int(damage.integers(len(content)))] ^= 1 << int(damage.integers(8))
        else:
            del spoilt[int(damage.integers(len(content))) :]
        (tmp_path / "old").write_bytes(bytes(spoilt))
        run = Run()
        before = run.snapshot()
        try:
            run.fit(1, tmp_path / "x", resume=tmp_path / "old")
        except LoadError:
            assert same(run.snapshot(), before)


# --- headers


def header(path, table, data=b""):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "table",
    [
        [],
        3,
        None,
        {"a": 3},
        {"a": {}},
        {"a": {**ENTRY, "more": 1}},
        *({"a": {**ENTRY, "dtype": bad}} for bad in (None, 3, [], "F33", "float32", {})),
        *({"a": {**ENTRY, "shape": bad}} for bad in (None, 2, [3], [-2], [2.0], ["2"], [True, 2], [1] * 65 + [2],
                                                     [2**80], [10**400], [0, 2**70], [[2]], {"2": 2})),
        *({"a": {**ENTRY, "data_offsets": bad}} for bad in (None, 8, [0], [0, 8, 8], [8, 0], [0, 4], [0, 16], [-8, 0],
                                                            [0.0, 8.0], [False, 8], [1, 9], [2**80, 2**80 + 8])),
        {"a": ENTRY, "b": ENTRY},
        {"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}},
        {"__metadata__": {"a": 3}, "a": ENTRY},
        {"__metadata__": [], "a": 3},
        {"__metadata__": "x", "a": ENTRY},
        {"__metadata__": {"fastnn": "{"}, "a": ENTRY},
        {"__metadata__": {"fastnn": "[]"}, "a": ENTRY},
        {"__metadata__": {"fastnn": '{"format": 1}'}, "a": ENTRY},
        {"__metadata__": {"fastnn": '{"format": "1", "state": {"dict": []}}'}, "a": ENTRY},
        {"__metadata__": {"fastnn": '{"format": 1' + "0" * 400 + ', "state": {"dict": []}}'}, "a": ENTRY},
        {"__metadata__": {"fastnn": '{"format": 1' + "0" * 9000 + ', "state": {"dict": []}}'}, "a": ENTRY},
        *({"__metadata__": {"fastnn": '{"format": 1, "state": ' + bad + "}"}, "a": ENTRY} for bad in (
            "[]", "{}", '{"array": "b"}', '{"array": 3}', '{"array": ["a"]}', '{"dict": 3}', '{"dict": [3]}',
            '{"dict": [[1]]}', '{"dict": [[[], 1]]}', '{"dict": [["a", 1], ["a", 2]]}', '{"set": []}',
            '{"list": 3}', '{"list": [], "dict": []}', '{"list": [' * 5000, "[" * 100000)),
        {"__metadata__": {"crc32": "00000000"}, "a": ENTRY},
        {"__metadata__": {"crc32": "x"}, "a": ENTRY},
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {"dtype": "F32", "shape": [0], '
        b'"data_offsets": [8, 8]}}',
        b"\xff\xfe",
        b"{" * 100000,
        b"[" * 100000,
    ],
)  # fmt: skip
def test_headers(table, tmp_path):
    header(tmp_path / "bad", table, b"12345678")
    for load in (load_checkpoint, fastnn.load, lambda path: load_weights(nn.Linear(2, 2), path),
                 lambda path: Run().fit(1, tmp_path / "x", resume=path)):  # fmt: skip
        with pytest.raises(LoadError, match="bad"):
            load(tmp_path / "bad")


def test_lengths_of_the_header(tmp_path):
    for content in (b"", b"\0" * 7, b"\0" * 8, b"\xff" * 8 + b"{}", (3).to_bytes(8, "little") + b"{}"):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(LoadError, match="bad is not a safetensors file, or damaged"):
            load_checkpoint(tmp_path / "bad")


# --- sizes


@pytest.mark.parametrize(
    ("layer", "args"),
    [
        ("Linear", [10**4, 10**4]), ("Linear", [1, 10**8]), ("Conv1d", [1, 10**8, 1]), ("Conv2d", [1, 1, 10**4]),
        ("Conv3d", [1, 1, 500]), ("Conv2d", [10**8, 10**8, 1, 1, 0, 1, 10**8]), ("DepthwiseConv2d", [10**8, 1]),
        ("DepthwiseConv2d", [1, 1, 1, 0, 1, 10**8]), ("SeparableConv2d", [10**8, 1, 1]),
        ("ConvTranspose1d", [1, 10**8, 1]), ("ConvTranspose2d", [10**8, 1, 1]), ("ConvTranspose3d", [1, 1, 500]),
        ("BatchNorm1d", [10**8]), ("BatchNorm2d", [10**8]), ("BatchNorm3d", [10**8, 1e-5, 0.1, False]),
        ("InstanceNorm2d", [10**8, 1e-5, 0.1, True]), ("InstanceNorm1d", [10**8, 1e-5, 0.1, False, True]),
        ("LayerNorm", [10**8]), ("LayerNorm", [[10**4, 10**4]]), ("RMSNorm", [10**8]), ("GroupNorm", [1, 10**8]),
        ("PReLU", [10**8]), ("Linear", [10**400, 1]), ("PReLU", [10**30]),
    ],
)  # fmt: skip
def test_no_layer_is_larger_than_the_file(layer, args, tmp_path):
    part = {"layer": layer, "args": args, "options": {}, "dtype": "float32"}
    state = {"model": {"weight": np.zeros(3, np.float32)}, "architecture": part, "optimizer": None, "config": {},
             "random": {}}  # fmt: skip
    save_checkpoint(tmp_path / "bad", state)
    tracemalloc.start()
    with pytest.raises(LoadError, match="bad: architecture"):
        fastnn.load(tmp_path / "bad")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def test_many_small_layers_are_bounded_together(tmp_path):
    part = {"layer": "Linear", "args": [100, 100], "options": {}, "dtype": "float64"}
    parts = {"layer": "Sequential", "args": [part] * 200, "options": {}, "dtype": "float32"}
    weights = {"0.weight": np.zeros((100, 100)), "0.bias": np.zeros(100)}
    state = {"model": weights, "architecture": parts, "optimizer": None, "config": {}, "random": {}}
    save_checkpoint(tmp_path / "bad", state)
    tracemalloc.start()
    with pytest.raises(LoadError, match="the model has more weights than the file"):
        fastnn.load(tmp_path / "bad")
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_sealing_is_over_all_bytes():
    content = _sealed({"a": np.arange(3)}, {"fastnn": "x"})
    other = _sealed({"a": np.arange(3)}, {"fastnn": "y"})
    assert content[-24:] == other[-24:] and content != other


@pytest.mark.parametrize("value", [{1, 2}, object(), print, np.array(["a"]), np.array([None]), {"a": {(1, 2): 3}}])
def test_what_cannot_be_written(value, tmp_path):
    with pytest.raises(TypeError, match="save: config"):
        fastnn.save(nn.Linear(1, 1), tmp_path / "net", config={"k": value})
    assert not list(tmp_path.iterdir())


def test_arguments(tmp_path):
    model = nn.Linear(1, 1)
    fastnn.save(model, tmp_path / "net")
    for call, message in (
        (lambda: fastnn.load(None), "load: path must be a string or a path, got NoneType"),
        (lambda: load_checkpoint(3.5), "load_checkpoint: path must be"),
        (lambda: load_weights(model, None), "load_weights: path must be"),
        (lambda: fastnn.save(model, None), "save: path must be"),
        (lambda: save_weights(None, tmp_path / "x"), "save_weights: model must be a Module, got NoneType"),
        (lambda: load_weights(None, tmp_path / "net"), "load_weights: model must be a Module, got NoneType"),
        (lambda: fastnn.save(None, tmp_path / "x", optimizer=3), "save: optimizer and config are kept with a Module"),
        (lambda: fastnn.save(model, tmp_path / "x", optimizer=3), "save: optimizer must be an Optimizer, got int"),
        (lambda: fastnn.save(model, tmp_path / "x", config=[]), "save: config must be a dictionary, got list"),
        (lambda: fastnn.load(tmp_path / "net", 3), "load: .* model a Module, got int"),
        (lambda: fastnn.load(tmp_path / "net", optimizer=3), "load: optimizer must be an Optimizer, got int"),
        (lambda: save_checkpoint(None, {}), "save_checkpoint: path must be"),
        (lambda: model.load_state_dict(None), "load_state_dict: expected a dictionary of arrays, got NoneType"),
        (lambda: Run().fit(1, tmp_path / "x", resume=3.5), "fit: path must be"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net"]
