"""Checkpoint files: exact, and whole whatever happens to the writer."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fastnn import Tensor, nn
from fastnn.train import load_checkpoint, load_weights, save_checkpoint, save_weights

STATE = {
    "model": {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T, "scalar": np.array(2.5)},
    "optimizer": {"state": {0: {"step": 3, "buffer": np.zeros((0, 4))}}, "groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
    "random": {"big": 2**127 + 1, "words": np.array([2**63], np.uint64), "none": None, "yes": True},
    "history": {"loss": [0.1, float("inf"), 1 / 3]},
    "number": np.float64(0.5),
}


def same(a, b):
    """Compare two trees: types of containers, dtypes, shapes and every bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Tensor):
        a, b = a.numpy(), b.numpy()
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


def test_round_trip_is_exact(tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", STATE)
    assert same(load_checkpoint(tmp_path / "c.safetensors"), STATE)
    assert os.listdir(tmp_path) == ["c.safetensors"]


def test_other_programs_can_read_the_weights(tmp_path):

    save_checkpoint(tmp_path / "c.safetensors", STATE)
    np.testing.assert_array_equal(load_file(tmp_path / "c.safetensors")["model.0.weight"], STATE["model"]["0.weight"])


@pytest.mark.parametrize("empty", [False, True])
def test_other_programs_can_read_all_dtypes(empty, tmp_path):
    codes = "" if empty else ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", ">f4", ">i8")
    arrays = {code: np.arange(7).astype(code)[::-1] for code in codes}
    if not empty:
        arrays.update(
            {"none": np.zeros((0, 3)), "scalar": np.array(3, np.int16), 'a "name" \u00e4\n': np.zeros((2, 0, 4))}
        )
    save_checkpoint(tmp_path / "c", arrays)
    found, again = load_file(tmp_path / "c"), load_checkpoint(tmp_path / "c")
    assert set(found) == set(again) == set(arrays)
    for name, array in arrays.items():
        for given in (found[name], again[name]):
            assert given.shape == array.shape and given.dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(given, array)
    assert all(array.flags.writeable and array.flags.aligned for array in again.values())


def raw_file(path, **arrays):
    """Write a file by hand: names, and (dtype, shape, bytes)."""
    header, content = {}, b""
    for name, (dtype, shape, data) in arrays.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(content), len(content) + len(data)]}
        content += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def test_weights_of_half_precision(tmp_path):
    model = nn.Linear(2, 1)
    values = np.float32([[1.5, -3.0]])
    upper = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    raw_file(tmp_path / "half", weight=("BF16", [1, 2], upper), bias=("F16", [1], np.float16([0.25]).tobytes()))
    load_weights(model, tmp_path / "half")
    assert model.weight.numpy().tolist() == values.tolist() and model.bias.numpy().tolist() == [0.25]
    raw_file(tmp_path / "other", weight=("F8_E4M3", [1, 2], b"12"), bias=("F32", [1], b"1234"))
    with pytest.raises(ValueError, match="weight is an array of F8_E4M3, which cannot be read"):
        load_weights(model, tmp_path / "other")


def test_damaged_files_are_refused(tmp_path):
    file = tmp_path / "c.safetensors"
    save_checkpoint(file, STATE)
    whole = file.read_bytes()
    for content in (b"", b"x", whole[:7], whole[:200], whole[:-1], whole + b"x", b"\xff" * 8 + whole[8:]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"c\.safetensors is not a safetensors file, or damaged"):
            load_checkpoint(file)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "nothing")


def test_weights_are_not_a_checkpoint(tmp_path):

    save_file({"weight": np.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="holds weights only"):
        load_checkpoint(tmp_path / "w.safetensors")


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "c.safetensors"
    save_checkpoint(file, {"n": 1})
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(file, {"n": 2})
    assert load_checkpoint(file) == {"n": 1} and os.listdir(tmp_path) == ["c.safetensors"]


def test_old_leftovers_are_cleared_away(tmp_path):
    old, new = tmp_path / ".c.1.tmp", tmp_path / ".c.2.tmp"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 3600,) * 2)
    save_checkpoint(tmp_path / "c", {})
    assert sorted(os.listdir(tmp_path)) == [".c.2.tmp", "c"]


WRITER = """
import sys, itertools, numpy as np
from fastnn.train.checkpoint import save_checkpoint
for n in itertools.count(1):
    save_checkpoint(sys.argv[1], {"n": n, "a": np.full(100_000, n, np.float64), "b": np.full(100_000, n, np.int32)})
    print(n, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    """Kill a process that does nothing but write checkpoints, at random moments; what is there must be consistent."""
    file = tmp_path / "c.safetensors"
    rng = np.random.default_rng(0)
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "1\n"
        time.sleep(rng.uniform(0, 0.05))
        writer.kill()
        acknowledged = writer.communicate()[0].split()
        state = load_checkpoint(file)
        assert (state["a"] == state["n"]).all() and (state["b"] == state["n"]).all()
        assert state["n"] >= int(acknowledged[-1] if acknowledged else 1), "a write that returned must be there"


# --- several writers


def whole(state):
    return (state["a"] == state["n"]).all() and (state["b"] == state["n"]).all()


def writer(path, first):
    for n in range(first, first + 40):
        save_checkpoint(path, {"n": n, "a": np.full(50_000, n, np.float64), "b": np.full(50_000, n, np.int32)})


def reader(path, stop, seen):
    while not stop.is_set():
        seen.append(whole(load_checkpoint(path)))


def test_threads_write_one_checkpoint(tmp_path, monkeypatch):
    """Every read finds a whole file, and nothing else is left in the folder."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # so that writers meet more often
    file = tmp_path / "c.safetensors"
    writer(file, 1)
    stop, seen, errors = threading.Event(), [], []

    def run(function, *arguments):
        try:
            function(*arguments)
        except Exception as error:
            errors.append(error)

    readers = [threading.Thread(target=run, args=(reader, file, stop, seen)) for _ in range(2)]
    writers = [threading.Thread(target=run, args=(writer, file, 100 * i)) for i in range(1, 5)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not errors and seen and all(seen) and whole(load_checkpoint(file))
    assert os.listdir(tmp_path) == ["c.safetensors"]


def test_processes_write_one_checkpoint(tmp_path):
    file = tmp_path / "c.safetensors"
    command = [sys.executable, "-c", WRITER, str(file)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for process in writers:
            for _ in range(3):
                process.stdout.readline()
        for _ in range(60):
            assert whole(load_checkpoint(file))
    finally:
        for process in writers:
            process.kill()
            process.communicate()
    assert whole(load_checkpoint(file))


def test_models_are_written_as_safely(tmp_path, monkeypatch):
    import fastnn

    names = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: names.append((os.path.dirname(a), a)) or replace(a, b))
    model = nn.Linear(2, 2)
    for _ in range(3):
        fastnn.save(model, tmp_path / "net")
        save_weights(model, tmp_path / "net")
    assert len(set(names)) == 6 and {folder for folder, _ in names} == {str(tmp_path)}


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
class TestPosix:
    def test_the_mode_of_the_old_file_is_kept(self, tmp_path):
        file = tmp_path / "c"
        for mode in (0o600, 0o640, 0o664, 0o444):
            save_checkpoint(file, {})
            os.chmod(file, mode)
            save_checkpoint(file, {"a": 1})
            assert stat.S_IMODE(file.stat().st_mode) == mode and load_checkpoint(file) == {"a": 1}

    @pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
    def test_new_files_have_the_mode_of_all_new_files(self, umask, tmp_path):
        before = os.umask(umask)
        try:
            save_checkpoint(tmp_path / "c", {})
            (tmp_path / "other").touch()
        finally:
            os.umask(before)
        assert (tmp_path / "c").stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_nothing_is_written_through_a_link(self, tmp_path, monkeypatch):
        """Even if somebody knew the name of the temporary file."""
        victim = tmp_path / "victim"
        victim.write_text("precious")
        monkeypatch.setattr("secrets.token_hex", lambda count: "known")
        planted = tmp_path / f".c.{os.getpid()}-known.tmp"
        planted.symlink_to(victim)
        with pytest.raises(FileExistsError):
            save_checkpoint(tmp_path / "c", {"a": 1})
        assert victim.read_text() == "precious" and planted.is_symlink()
        monkeypatch.undo()
        (tmp_path / "c").symlink_to(victim)
        save_checkpoint(tmp_path / "c", {"a": 1})
        assert victim.read_text() == "precious" and load_checkpoint(tmp_path / "c") == {"a": 1}

    def test_long_and_odd_names(self, tmp_path):
        for name in ("x" * 250, "ü" * 120, "[a]*?", "-x", " "):
            save_checkpoint(tmp_path / name, {"a": 1})
            assert load_checkpoint(tmp_path / name) == {"a": 1}
        (tmp_path / ".[a]*?.1.tmp").touch()
        (tmp_path / ".a.1.tmp").touch()
        for name in (".[a]*?.1.tmp", ".a.1.tmp"):
            os.utime(tmp_path / name, (time.time() - 3600,) * 2)
        save_checkpoint(tmp_path / "[a]*?", {})
        assert not (tmp_path / ".[a]*?.1.tmp").exists() and (tmp_path / ".a.1.tmp").exists()


def test_files_without_arrays(tmp_path):
    """Releases 0.4.0 to 0.4.3 of safetensors cannot read these; here they are read by other means."""
    for state in ({}, {"a": 1}, {"model": {}, "list": [], "deep": {"er": [None]}}):
        save_checkpoint(tmp_path / "c", state)
        assert load_checkpoint(tmp_path / "c") == state
    save_weights(nn.ReLU(), tmp_path / "w")
    load_weights(nn.ReLU(), tmp_path / "w")
