"""The digits that ship with the package, and the reader of MNIST's own files."""

import gzip
import hashlib

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
    raw = np.rint(x * 255).astype(np.uint8).tobytes() + y.astype(np.uint8).tobytes()
    assert hashlib.sha256(raw).hexdigest() == "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"


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
