"""Files of `torch.save` are read without PyTorch, and whatever they say, nothing in them is executed.

`files/` has what PyTorch 2.13 wrote; with PyTorch installed, ``python -m tests.train.test_torch_files`` writes it anew.
Files that PyTorch would not write are assembled here, opcode by opcode.
"""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn
from fastnn.train import LoadError, load_weights

FILES = Path(__file__).parent / "files"


def write_files():
    import torch

    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "w": base, "t": base.t(), "view": base[1:, ::2], "expanded": torch.tensor([7.0]).expand(3, 4),
        "half": torch.tensor([1.5, -2], dtype=torch.half), "bf": torch.tensor([1.0, 3.140625, -0.5]).bfloat16(),
        "double": torch.tensor([0.1], dtype=torch.double), "i64": torch.arange(5), "i32": torch.arange(3).int(),
        "i16": torch.tensor([-300]).short(), "i8": torch.tensor([-1]).char(), "u8": torch.arange(4).byte(),
        "bool": torch.tensor([True, False]), "scalar": torch.tensor(3.5), "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)), "u16": torch.tensor([65535], dtype=torch.uint16),
    }  # fmt: skip
    noted = torch.ones(2)
    noted.note = "an attribute"
    everything = {
        "state": state, "epoch": 3, "lr": 1e-3, "name": "n\u00e9t", "none": None, "flags": (True, False), 5: [1, [2]],
        "shape": torch.Size([2, 3]), "device": torch.device("cuda", 1), "dtype": torch.bfloat16, "set": {1, 2},
        "bytes": b"\x00\xff", "large": 2**70, "noted": noted,
    }  # fmt: skip
    torch.save(everything, FILES / "everything.pt")
    torch.save(everything, FILES / "protocol4.pt", pickle_protocol=4)
    torch.save(state, FILES / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    torch.save(model, FILES / "module.pt")
    torch.save(model.state_dict(), FILES / "state_dict.pt")


@pytest.mark.parametrize("name", ["everything.pt", "protocol4.pt"])
def test_what_pytorch_wrote(name):
    found = fastnn.load(FILES / name)
    state = found.pop("state")
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = {
        "w": base, "t": base.T, "view": base[1:, ::2], "expanded": np.full((3, 4), 7, "f4"),
        "half": np.array([1.5, -2], "f2"), "bf": np.array([1, 3.140625, -0.5], "f4"), "double": np.array([0.1]),
        "i64": np.arange(5), "i32": np.arange(3, dtype="i4"), "i16": np.array([-300], "i2"), "i8": np.array([-1], "i1"),
        "u8": np.arange(4, dtype="u1"), "bool": np.array([True, False]), "scalar": np.array(3.5, "f4"),
        "empty": np.zeros((0, 3), "f4"), "parameter": np.ones(2, "f4"), "u16": np.array([65535], "u2"),
    }  # fmt: skip
    assert list(state) == list(expected)
    for key, array in expected.items():
        assert isinstance(state[key], Tensor) and state[key].dtype == array.dtype, key
        np.testing.assert_array_equal(state[key].numpy(), array, err_msg=key, strict=True)
    assert [key for key, tensor in state.items() if tensor.requires_grad] == ["parameter"]
    assert np.shares_memory(state["w"].numpy(), state["t"].numpy()), "a shared storage is shared memory"
    assert found.pop("noted").tolist() == [1, 1]
    assert found == {
        "epoch": 3, "lr": 1e-3, "name": "n\u00e9t", "none": None, "flags": (True, False), 5: [1, [2]], "shape": (2, 3),
        "device": "cuda:1", "dtype": np.dtype("f4"), "set": {1, 2}, "bytes": b"\x00\xff", "large": 2**70,
    }  # fmt: skip


def test_weights_move():
    path = FILES / "state_dict.pt"
    state = fastnn.load(path, map_location="cpu", weights_only=True)
    model, other = (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(2))
    model.load_state_dict(state)
    load_weights(other, path)
    for name, value in state.items():
        for net in (model, other):
            np.testing.assert_array_equal(np.asarray(net.state_dict()[name]), value.numpy())
    assert model(np.ones((4, 3), np.float32)).shape == (4, 2)
    with pytest.raises(LoadError, match="(?s)state_dict.pt: model .*missing: weight"):
        load_weights(nn.Linear(3, 2), path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("module.pt", "holds torch.nn.modules.container.Sequential, which is refused: .*state_dict"),
        ("legacy.pt", r"format that PyTorch wrote before version 1.6.*torch.save\(torch.load\(path\), path\)"),
    ],
)
def test_what_is_no_data(name, message):
    with pytest.raises(LoadError, match=f"load: .*{name} .*{message}"):
        fastnn.load(FILES / name)


def test_with_pytorch_itself():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 1, 5, 5)).sum().backward()
    optimizer.step()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    found = fastnn.load(file)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(found["model"][name].numpy(), value.numpy())
    assert found["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)


# --- files that PyTorch would not write


class Call:
    """A call of a name with arguments; without arguments, the name."""

    def __init__(self, name, *arguments, called=True):
        self.module, _, self.name = name.rpartition(".")
        self.arguments, self.called = arguments, called


class Stored(tuple):
    """What stands for a storage."""


def code(value):
    """Assemble the pickle of a value, without its end."""
    if isinstance(value, Call):
        name = f"c{value.module}\n{value.name}\n".encode()
        return name + code(tuple(value.arguments)) + b"R" if value.called else name
    if isinstance(value, Stored):
        return code(tuple(value)) + b"Q"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(code, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(code, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(code(key) + code(item) for key, item in value.items()) + b"u"
    if isinstance(value, bytes):  # ready
        return value
    return pickle.dumps(value, 2)[2:-1].split(b"q\0")[0]


def archive(pickled, records=(), compression=zipfile.ZIP_STORED, root="archive", order=b"little"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.writestr(f"{root}/data.pkl", b"\x80\x02" + pickled + b".")
        made.writestr(f"{root}/byteorder", order)
        for name, content in dict(records).items():
            made.writestr(f"{root}/{name}", content)
    return io.BytesIO(file.getvalue())


def tensor(size=(2, 3), stride=(3, 1), offset=0, count=6, kind="Float", key="0"):
    storage = Stored(("storage", Call(f"torch.{kind}Storage", called=False), key, "cpu", count))
    return Call(
        "torch._utils._rebuild_tensor_v2", storage, offset, size, stride, False, Call("collections.OrderedDict")
    )


SIX = {"data/0": np.arange(6, dtype="<f4").tobytes()}


def test_the_assembler_writes_what_pytorch_would():
    found = fastnn.load(archive(code({"a": tensor(), "b": [1, (2.5, "x")], "c": {3: None}}), SIX))
    np.testing.assert_array_equal(found["a"].numpy(), np.arange(6, dtype="f4").reshape(2, 3))
    assert found["b"] == [1, (2.5, "x")] and found["c"] == {3: None}
    swapped = {"data/0": np.arange(6, dtype=">f4").tobytes()}
    found = fastnn.load(archive(code(tensor()), swapped, order=b"big"))
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]] and found.dtype.isnative
    halves = {"data/0": (np.array([1, -2, 3, 0.5, 0, 9], "f4").view("u4") >> 16).astype(">u2").tobytes()}
    assert fastnn.load(archive(code(tensor(kind="BFloat16")), halves, order=b"big")).tolist()[0] == [1, -2, 3]


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((6,), (1,), 0), ((3, 2), (1, 3), 0), ((2,), (2,), 1), ((4, 5), (0, 0), 5), ((), (), 5), ((0, 9), (1, 1), 0),
     ((1, 6), (999, 1), 0), ((2, 2), (1, 1), 3)],
)  # fmt: skip
def test_windows_on_a_storage(size, stride, offset):
    found = fastnn.load(archive(code(tensor(size, stride, offset)), SIX)).numpy()
    assert found.shape == size
    for index in np.ndindex(size):
        assert found[index] == offset + sum(i * step for i, step in zip(index, stride, strict=True))


OUTSIDE = [
    tensor((7,), (1,)), tensor((2, 3), (4, 1)), tensor((2,), (1,), 5), tensor((1,), (1,), 6),
    tensor((1,), (1,), 1 << 61), tensor((2,), (1 << 61,)), tensor((2,), (-1,), 1), tensor((-1,), (1,)),
    tensor((2,), (1,), -1),
    tensor((2, 3), (1,)), tensor((2.0,), (1,)), tensor([2], (1,)), tensor((True,), (1,)), tensor((1,) * 65, (1,) * 65),
    tensor((1 << 40, 1 << 40), (0, 0)), tensor((1 << 61, 0), (1, 1)), tensor(count=5), tensor(count=7),
    tensor(count=-6), tensor(count=6.0), tensor(count=1 << 61), tensor(kind="Double"), tensor(kind="Half"),
    tensor(key="1"), tensor(key="../../etc/passwd"), tensor(key=3), (tensor(), tensor(kind="Int")),
    tensor(kind="ComplexFloat", count=3, size=(3,), stride=(1,)),
]  # fmt: skip


@pytest.mark.parametrize("bad", OUTSIDE, ids=range(len(OUTSIDE)))
def test_windows_beyond_a_storage(bad):
    with pytest.raises(LoadError, match="load: BytesIO (is damaged|holds a tensor)"):
        fastnn.load(archive(code(bad), SIX))


PWNED = []
PROGRAMS = [
    (Call("os.system", "touch pwned"), "holds os.system, which is refused"),
    (Call("posix.system", "touch pwned"), "holds posix.system"),
    (Call("builtins.eval", "PWNED.append(1)"), "holds builtins.eval"),
    (Call("__builtin__.getattr", 1, "x"), "holds __builtin__.getattr"),
    (Call("torch.load", "x"), "holds torch.load"),
    (Call("torch._utils", called=False), "holds torch._utils, which is refused"),
    (Call("numpy._core.multiarray._reconstruct", 1), "holds numpy._core.multiarray._reconstruct"),
    (Call("torch.FloatStorage", 10**9), "it calls torch.FloatStorage"),
    (Call("torch.FloatStorage", called=False), "holds torch.FloatStorage, which is no data"),
    (Call("torch.Size", called=False), "holds torch.Size, which is no data"),
    (Call("torch._tensor._rebuild_from_type_v2", Call("torch.device", called=False), Call("os.system", called=False),
          ("cpu",), {}), "holds os.system"),
    (code("os") + code("system") + b"\x93" + code(("true",)) + b"R", "holds os.system"),
    (b"cos\nsystem\n" + code("true") + b"o", "opcode 'c'|holds os.system"),
    (b"(S'true'\nios\nsystem\n", "opcode 'S'"),
    (b"(ios\nsystem\n", "opcode 'i'"),
    (code(Call("torch.Size", called=False)) + b")\x81", "opcode '.x81'"),
    (code({}) + code({"__class__": 1}) + b"b", "sets attributes of a dict"),
    (code(tensor()) + code({"_data": 1}) + b"b", "sets attributes of a Tensor"),
    (b"\x82\x01", "opcode"),
    (code("x") + b"Q", "something outside of the pickle is no storage"),
    (code(Stored(("storage", Call("os.system", called=False), "0", "cpu", 6))), "holds os.system"),
    (Stored(("storage", Call("torch.FloatStorage", called=False), "0", "cpu", 6)), "holds a storage without a tensor"),
    (code([1]) + code(3) + b"R", "it calls a list"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "message"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_do_not_run(program, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoadError, match=message):
        fastnn.load(archive(code(program), SIX))
    assert not PWNED and not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "pickled",
    [
        b"", b"(", b"t", b"e", b"}(", code({}) + b"(" + code(1) + b"u", b"](", code(1) + b"a", code(1) * 2 + b"a",
        b"h\x05", b"(q\0", b"(a", b"(" + code(1) + b"\x86", code(1) + b"\x87", code(1) + code(2), b"(Q", b"R", b"b",
        b"X" + struct.pack("<I", 1 << 31) + b"x", b"\x8d" + struct.pack("<Q", 1 << 60), b"\x8b" + b"\xff" * 4,
        b"X\x01\0\0\0\xff", b"ctorch", b"c\xff\n\n", b"J\0", b"]q\0h\0a", b"}" + code([]) + code(1) + b"s",
        b"}" + code(((1,),)) + code(1) + b"s", code(Call("collections.OrderedDict", 3)),
        code(Call("collections.OrderedDict", [1])), code(Call("torch.Size", "ab")), code(Call("torch.device", 3)),
        code(Call("__builtin__.set", [[]])), code(Call("_codecs.encode", "a", "zlib")),
        code(Call("torch._utils._rebuild_tensor_v2")),
        code(Call("torch._utils._rebuild_tensor_v2", 1, 0, (), ())), code(Call("torch._utils._rebuild_parameter", 1)),
        b"\x8f(" + code(Call("torch.Size", called=False)) + b"\x90",
    ],
)  # fmt: skip
def test_damaged_pickles(pickled):
    with pytest.raises(LoadError, match="is damaged|no data|cannot be loaded"):
        fastnn.load(archive(pickled, SIX))


def test_much_of_little():
    """Structures that would grow without end: shared containers in containers, deep ones, large places in the memo."""
    laughs = b"]q\0" + b"h\0\x86q\0" * 60  # 2^60 lists, if each were visited
    assert type(fastnn.load(archive(laughs))) is tuple
    with pytest.raises(LoadError, match="a tuple is no key"):
        fastnn.load(archive(b"}" + laughs + code(1) + b"s"))
    deep = b"]" * 5000 + b"a" * 4999
    with pytest.raises(LoadError, match="without end"):
        fastnn.load(archive(deep))
    assert fastnn.load(archive(b"]r\xff\xff\xff\xff")) == []


def test_archives():
    good = archive(code(tensor()), SIX).getvalue()
    for cut in range(0, len(good), 7):
        with pytest.raises(LoadError):
            fastnn.load(io.BytesIO(good[:cut]))
    with pytest.raises(LoadError, match="compressed"):
        fastnn.load(archive(code(tensor()), SIX, zipfile.ZIP_DEFLATED))
    with pytest.raises(LoadError, match="unknown byte order"):
        fastnn.load(archive(code(tensor()), SIX, order=b"middle"))
    with pytest.raises(LoadError, match="without data.pkl"):
        fastnn.load(archive(code(tensor()), SIX, root="a/b"))
    with pytest.raises(LoadError, match="TorchScript"):
        fastnn.load(archive(code(tensor()), {**SIX, "constants.pkl": b""}))
    twice = io.BytesIO(good)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(twice, "a") as made:
        made.writestr("archive/data/0", b"x" * 24)
    with pytest.raises(LoadError, match="a name occurs twice"):
        fastnn.load(io.BytesIO(twice.getvalue()))
    spoilt = bytearray(good)
    spoilt[good.index(SIX["data/0"]) + 5] ^= 1
    with pytest.raises(LoadError, match="is damaged: Bad CRC"):
        fastnn.load(io.BytesIO(spoilt))
    numbers = io.BytesIO()
    np.savez(numbers, a=np.ones(2))
    with pytest.raises(LoadError, match="NumPy: np.load reads it"):
        fastnn.load(io.BytesIO(numbers.getvalue()))
    with pytest.raises(LoadError, match="is a pickle, which could run any program"):
        fastnn.load(io.BytesIO(pickle.dumps({"a": 1})))


def test_damage_anywhere_is_an_error_or_changes_numbers_only():
    content = (FILES / "everything.pt").read_bytes()
    damage = np.random.default_rng(1)
    for _ in range(400):
        spoilt = bytearray(content)
        for _ in range(int(damage.integers(1, 4))):
            spoilt[int(damage.integers(len(content)))] ^= 1 << int(damage.integers(8))
        try:
            fastnn.load(io.BytesIO(spoilt))
        except LoadError:
            pass


if __name__ == "__main__":
    write_files()
