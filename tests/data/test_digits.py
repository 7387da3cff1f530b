"""The digits that ship with the package, and the reader of MNIST's own files."""

import gzip
import hashlib
import os
import threading
import tracemalloc

import numpy as np
import pytest

from fastnn.data import mnist, mnist_5k, read_idx


def idx_bytes(array, code=0x08):
    sizes = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def root(tmp_path):
    """Make a folder like MNIST's, with 7 training and 3 test images of 5 x 4 pixels."""
    rng = np.random.default_rng(1)
    for part, n in (("train", 7), ("t10k", 3)):
        images = rng.integers(0, 256, (n, 5, 4), dtype=np.uint8)
        labels = rng.integers(0, 10, n, dtype=np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    return tmp_path


def test_mnist_5k_is_what_it_says():
    x, y = mnist_5k()
    assert x.shape == (5000, 1, 28, 28) and x.dtype == np.float32 and x.flags.c_contiguous
    assert y.shape == (5000,) and y.dtype == np.int64
    assert x.min() == 0 and x.max() == 1
    assert np.bincount(y).tolist() == [500] * 10
    order = np.empty(5000, int)
    order[np.random.RandomState(0).permutation(5000)] = np.arange(5000)  # noqa: NPY002
    raw = np.rint(x[order] * 255).astype(np.uint8).tobytes() + y[order].astype(np.uint8).tobytes()
    assert hashlib.sha256(raw).hexdigest() == "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"


def test_mnist_5k_comes_shuffled():
    """Any stretch of it has all classes, so that the first 4,000 can be learned from and the rest tested."""
    x, y = mnist_5k()
    assert np.bincount(y[:4000], minlength=10).min() > 350 and len(set(y[:60].tolist())) == 10
    again, labels = mnist_5k()
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, labels)


def test_mnist_reads_plain_and_gzip_files(root):
    x, y = mnist(root)
    assert x.shape == (7, 1, 5, 4) and x.dtype == np.float32 and y.shape == (7,) and y.dtype == np.int64
    np.testing.assert_array_equal(x[:, 0], read_idx(root / "train-images-idx3-ubyte") / np.float32(255))
    assert mnist(root, train=False)[0].shape == (3, 1, 5, 4)


def test_mnist_finds_the_other_spellings(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("torchvision")
    (elsewhere / "MNIST" / "raw").mkdir(parents=True)
    (elsewhere / "MNIST" / "raw" / "train-images.idx3-ubyte").write_bytes(
        (root / "train-images-idx3-ubyte").read_bytes()
    )
    (elsewhere / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz").write_bytes(
        (root / "train-labels-idx1-ubyte.gz").read_bytes()
    )
    np.testing.assert_array_equal(mnist(elsewhere)[0], mnist(root)[0])


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]
)
def test_read_idx_every_type_round_trips(tmp_path, code, dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    (tmp_path / "file").write_bytes(idx_bytes(array, code))
    result = read_idx(tmp_path / "file")
    assert result.dtype == np.dtype(dtype) and result.dtype.isnative and result.flags.writeable
    np.testing.assert_array_equal(result, array)


def test_missing_files_are_named(root, tmp_path):
    (root / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte"):
        mnist(root)
    with pytest.raises(FileNotFoundError, match="no folder"):
        mnist(tmp_path / "nowhere")


@pytest.mark.parametrize("keep", [0, 3, 4, 11, 16, 100])
def test_truncated_files_are_refused(root, keep):
    file = root / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte is (truncated|not an IDX file)"):
        mnist(root)


def test_truncated_and_damaged_gzip_is_refused(root):
    file = root / "train-labels-idx1-ubyte.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    with pytest.raises(ValueError, match="gzip"):
        mnist(root)
    file.write_bytes(whole[:12] + bytes([whole[12] ^ 0xFF]) + whole[13:])
    with pytest.raises(ValueError, match="gzip|IDX|header"):
        mnist(root)


def test_wrong_files_are_refused(root):
    images, labels = root / "train-images-idx3-ubyte", root / "train-labels-idx1-ubyte.gz"
    content = images.read_bytes()
    images.write_bytes(content + b"x")
    with pytest.raises(ValueError, match="longer than its header says: 157 bytes, but shape .7, 5, 4. needs 156"):
        mnist(root)
    images.write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match="not an IDX file"):
        mnist(root)
    images.write_bytes(idx_bytes(np.zeros((7, 5), np.uint8)))
    with pytest.raises(ValueError, match="expected uint8 images"):
        mnist(root)
    images.write_bytes(content)
    labels.write_bytes(idx_bytes(np.zeros(6, np.uint8)))
    with pytest.raises(ValueError, match="7 images .* 6 labels"):
        mnist(root)


def test_a_hostile_header_allocates_nothing(tmp_path):
    (tmp_path / "file").write_bytes(bytes([0, 0, 0x0E, 255]) + b"\xff" * (4 * 255))
    with pytest.raises(ValueError, match="truncated"):
        read_idx(tmp_path / "file")


def peak_of(path, match):
    tracemalloc.start()
    with pytest.raises(ValueError, match=match):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("head", [b"", bytes([0, 0, 8, 1, 0, 0, 0, 5]), bytes([0, 0, 8, 1]), b"\x89PNG",
                                  bytes([0, 0, 8, 3]) + b"\xff" * 12, bytes([0, 0, 8, 255])])  # fmt: skip
def test_a_gzip_bomb_is_not_unpacked(tmp_path, head):
    """The header is looked at first, and no more is read than it says."""
    (tmp_path / "bomb").write_bytes(gzip.compress(head + bytes(50_000_000), 1))
    match = "bomb is (not an IDX|truncated|longer than its header says: more than (13|8) bytes)|bomb has 255 dimensions"
    assert peak_of(tmp_path / "bomb", match) < 3e6


def test_sizes_beyond_what_a_file_can_hold(tmp_path):
    for sizes in ([2**32 - 1] * 2, [2**31, 1], [1] * 64 + [2**32 - 1], [2**32 - 1] * 40):
        content = bytes([0, 0, 0x0E, len(sizes)]) + b"".join(n.to_bytes(4, "big") for n in sizes) + b"1234"
        for packed in (content, gzip.compress(content)):
            (tmp_path / "file").write_bytes(packed)
            assert peak_of(tmp_path / "file", "file is truncated: .* needs") < 3e6


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_more_dimensions_than_an_array_has(tmp_path, pack):
    def file(sizes, data):
        head = bytes([0, 0, 8, len(sizes)]) + b"".join(n.to_bytes(4, "big") for n in sizes)
        (tmp_path / "file").write_bytes(pack(head + data))
        return tmp_path / "file"

    assert read_idx(file([1] * 64, b"x")).shape == (1,) * 64
    for sizes in ([1] * 65, [1] * 255):
        with pytest.raises(ValueError, match=f"file has {len(sizes)} dimensions, an array has at most 64"):
            read_idx(file(sizes, b"x"))
    with pytest.raises(ValueError, match="is more than an array can be"):
        read_idx(file([0, *[2**32 - 1] * 3], b""))
    assert read_idx(file([0, 3], b"")).shape == (0, 3) and read_idx(file([], b"x")).shape == ()
    assert read_idx(file([], b"x")).item() == ord("x")


def test_two_gzip_members_and_pipes(tmp_path):
    content = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))
    (tmp_path / "file").write_bytes(gzip.compress(content[:9]) + gzip.compress(content[9:]))
    assert read_idx(tmp_path / "file").tolist() == [[0, 1, 2], [3, 4, 5]]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        thread = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(content))
        thread.start()
        assert read_idx(tmp_path / "pipe").tolist() == [[0, 1, 2], [3, 4, 5]]
        thread.join()


def test_paths_of_another_kind():
    with pytest.raises(TypeError, match="read_idx: path must be a string or a path, got NoneType"):
        read_idx(None)
    with pytest.raises(TypeError, match="mnist: root must be a string or a path, got NoneType"):
        mnist(None)
