"""`fastnn.save` and `fastnn.load` of state dicts and other trees of data, in paths and open files."""

import io
import json
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from safetensors.numpy import load as load_elsewhere
from safetensors.numpy import save as save_elsewhere

import fastnn
from fastnn import Tensor, nn, optim
from fastnn.optim.lr_scheduler import StepLR
from fastnn.train import LoadError, load_weights

Point = namedtuple("Point", "x y")
TREES = {
    "state_dict": {"0.weight": np.ones((2, 3), "f4"), "0.bias": np.zeros(2, "f4")},
    "values": {"epoch": 3, "lr": 1e-3, "name": "n\u00e9t \u2713 \0", "none": None, "yes": True, "large": 2**70,
               "inf": np.inf},
    "keys": {1: "a", 2.5: "b", None: "c", "1": "d", False: "e"} | {"a.b": 1, "a": {"b": 2}},
    "nested": [1, (2, [3, ()]), {"a": [{}, []]}, "x"],
    "dtypes": {"d": np.dtype("f4"), "e": np.dtype("i8")},
    "number": 3.5, "text": "only", "nothing": None, "list": [], "tuple": (),
}  # fmt: skip


def back(obj, **options):
    file = io.BytesIO()
    fastnn.save(obj, file, **options)
    file.seek(0)
    return fastnn.load(file)


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, strict=True)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, two in zip(a, b, strict=True):
            same(one, two)
    else:
        assert a == b


@pytest.mark.parametrize("name", TREES)
def test_trees_come_back(name, tmp_path):
    same(back(TREES[name]), TREES[name])
    for path in (tmp_path / "tree.pt", str(tmp_path / "tree.safetensors")):
        fastnn.save(TREES[name], path)
        same(fastnn.load(path), TREES[name])


def test_arrays_and_tensors_of_every_dtype_and_layout():
    base = np.arange(-12, 12).reshape(4, 6)
    for dtype in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"):
        for array in (
            base,
            base.T,
            base[::-1, ::2],
            base[:0],
            base[1, 1:2].reshape(()),
            np.broadcast_to(base[0], (3, 6)),
        ):
            given = array.astype(dtype)
            found = back([given, Tensor(given), given.astype(given.dtype.newbyteorder(">"))])
            assert type(found[0]) is np.ndarray and type(found[1]) is Tensor
            for each in found:
                assert np.asarray(each).dtype == given.dtype
                np.testing.assert_array_equal(np.asarray(each), given)
    x = back({"x": Tensor([1.0], requires_grad=True)})["x"]
    assert x.requires_grad and x.is_leaf
    (x * 2).sum().backward()


def test_what_becomes_something_simpler():
    found = back({"ordered": OrderedDict(a=1), "point": Point(1, 2), "scalar": np.float32(0.5), "int": np.int64(3)})
    same(found, {"ordered": {"a": 1}, "point": (1, 2), "scalar": 0.5, "int": 3})


def test_a_run_by_hand_goes_on(tmp_path):
    def parts():
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        return model, optimizer, StepLR(optimizer, 2, gamma=0.5)

    def step(model, optimizer, schedule):
        x = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()
        schedule.step()

    run = parts()
    for _ in range(3):
        step(*run)
    names = ("model", "optimizer", "schedule")
    state = {name: part.state_dict() for name, part in zip(names, run, strict=True)}
    fastnn.save({"epoch": 3, **state}, tmp_path / "run.pth")
    other = parts()
    found = fastnn.load(tmp_path / "run.pth", map_location="cpu", weights_only=True)
    for name, part in zip(names, other, strict=True):
        part.load_state_dict(found[name])
    assert found["epoch"] == 3
    for _ in range(3):
        step(*run)
        step(*other)
    for a, b in zip(run[0].parameters(), other[0].parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_weights_of_a_state_dict_and_of_other_programs(tmp_path):
    model, other, third = (nn.Linear(3, 2) for _ in range(3))
    fastnn.save(model.state_dict(), tmp_path / "w")
    load_weights(other, tmp_path / "w")
    with (tmp_path / "w").open("rb") as file:
        third.load_state_dict(fastnn.load(file))
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())
    np.testing.assert_array_equal(third.weight.numpy(), model.weight.numpy())
    assert set(load_elsewhere((tmp_path / "w").read_bytes())) == {"weight", "bias"}
    (tmp_path / "else").write_bytes(save_elsewhere({"weight": np.ones(3, "f4")}))
    found = fastnn.load(tmp_path / "else")
    assert isinstance(found["weight"], Tensor) and found["weight"].tolist() == [1, 1, 1]


def test_models_in_open_files():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    again = back(model)
    assert isinstance(again, nn.Sequential) and not again.training
    np.testing.assert_array_equal(again[0].weight.numpy(), model[0].weight.numpy())
    assert back(model, config={"a": 1}).config == {"a": 1}
    file = io.BytesIO()
    fastnn.save(model, file)
    target = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    for give in (lambda: fastnn.load(file, target), lambda: fastnn.load(file, model=target)):
        file.seek(0)
        assert give() is target and target.training
    np.testing.assert_array_equal(target[0].weight.numpy(), model[0].weight.numpy())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "save: the state is a object"),
        ({"a": {"b": print}}, "save: a.b is a builtin_function_or_method"),
        ({"a": {1, 2}}, "save: a is a set"),
        ({"a": b"bytes"}, "save: a is a bytes"),
        ({"a": np.array(["x"])}, "save: a is an array of <U1"),
        ({(1, 2): 3}, r"has a key \(1, 2\)"),
        ({"net": nn.Linear(1, 1)}, "save: net is a Linear"),
        (optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), r"a SGD cannot be written, its state_dict\(\) can"),
    ],
)
def test_what_cannot_be_written(value, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        fastnn.save(value, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_arguments(tmp_path):
    fastnn.save([1], tmp_path / "x")
    for location in (None, "cpu", "cpu:0", {"cuda:0": "cpu"}, lambda storage, where: storage):
        assert fastnn.load(tmp_path / "x", location, pickle_module=None, mmap=True) == [1]
    for location in ("cuda", {"cpu": "cuda:1"}):
        with pytest.raises(RuntimeError, match="load: there is no device 'cuda.*the CPU"):
            fastnn.load(tmp_path / "x", location)
    with pytest.raises(TypeError, match="open for reading bytes, it gave str"):
        fastnn.load(io.StringIO("x"))
    with pytest.raises(LoadError, match="holds no model"):
        fastnn.load(tmp_path / "x", nn.Linear(1, 1))
    with pytest.raises(TypeError, match="save: path must be"):
        fastnn.save([1], None)


def test_lying_indices():
    def file(state, **arrays):
        about = json.dumps({"format": 1, "kind": "tree", "state": state})
        return io.BytesIO(save_elsewhere(arrays or {"a": np.ones(2)}, {"fastnn": about}))

    assert isinstance(fastnn.load(file({"tensor": "a"})), Tensor)
    for state in ({"tensor": "b"}, {"leaf": 3}, {"dtype": "object"}, {"dtype": "O"}, {"dtype": ["f4"]}, {"call": "a"},
                  {"dict": [[["x"], 1]]}, {"dict": [["x", 1], ["x", 2]]}, {"list": {}},
                  {"tensor": "a", "list": []}):  # fmt: skip
        with pytest.raises(LoadError, match="load: BytesIO: header is damaged"):
            fastnn.load(file(state))
    with pytest.raises((LoadError, TypeError), match="float32 and float64"):
        fastnn.load(file({"leaf": "a"}, a=np.ones(2, int)))
