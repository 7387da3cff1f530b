"""NumPy's functions of tensors: recorded where there is a counterpart, refused where a gradient would be lost."""

import numpy as np
import pytest

from fastnn import Tensor, no_grad

X = np.arange(6, dtype=np.float32).reshape(2, 3)

RECORDED = {
    "concatenate": lambda x: np.concatenate([x, X]),
    "concatenate axis": lambda x: np.concatenate((X, x, x), axis=1),
    "concatenate flat": lambda x: np.concatenate([x, x], axis=None),
    "stack": lambda x: np.stack([x, x], axis=-1),
    "where": lambda x: np.where(x > 1, x, 0),
    "where right": lambda x: np.where(X > 1, 0.0, x),
    "clip": lambda x: np.clip(x, 1, 3),
    "clip named": lambda x: np.clip(x, min=1),
    "clip above": lambda x: np.clip(x, a_min=None, a_max=3),
    "sum": np.sum,
    "sum axis": lambda x: np.sum(x, axis=0),
    "sum keepdims": lambda x: np.sum(x, 1, keepdims=True),
    "mean": np.mean,
    "mean axes": lambda x: np.mean(x, axis=(0, 1)),
    "max": np.max,
    "max axis": lambda x: np.max(x, axis=1),
    "max keepdims": lambda x: np.max(x, keepdims=True),
    "amax": lambda x: np.amax(x, axis=-1, keepdims=True),
    "min": np.min,
    "amin": lambda x: np.amin(x, 0),
    "prod": lambda x: np.prod(x + 1),
    "prod axis": lambda x: np.prod(x, axis=1, keepdims=True),
    "var": np.var,
    "var axis": lambda x: np.var(x, axis=1, ddof=1),
    "std": lambda x: np.std(x, 0, keepdims=True),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "reshape flat": lambda x: np.reshape(x, -1),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "transpose axes": lambda x: np.transpose(x, (1, 0)),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x[None], 0, -1),
    "squeeze": lambda x: np.squeeze(x[None]),
    "squeeze axis": lambda x: np.squeeze(x[None], axis=0),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "expand_dims twice": lambda x: np.expand_dims(x, (0, -1)),
    "broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "split places": lambda x: np.split(x, [1, 2], axis=1)[2],
    "array_split": lambda x: np.array_split(x, 2, axis=1)[0],
    "take": lambda x: np.take(x, [0, 0], axis=1),
    "take one": lambda x: np.take(x, 2, axis=-1),
    "take flat": lambda x: np.take(x, [1, 5]),
    "dot": lambda x: np.dot(x, X.T),
    "dot deep": lambda x: np.dot(X, np.stack([x.T, x.T])),
    "dot number": lambda x: np.dot(x, 2.0),
    "matmul": lambda x: np.matmul(X.T, x),
    "flip": np.flip,
    "flip axis": lambda x: np.flip(x, 1),
    "fliplr": np.fliplr,
    "flipud": np.flipud,
    "roll": lambda x: np.roll(x, 2),
    "roll axis": lambda x: np.roll(x, (1, 2), axis=(0, 1)),
    "rot90": lambda x: np.rot90(x, axes=(1, 0)),
    "sort": lambda x: np.sort(-x, kind="stable"),
    "sort axis": lambda x: np.sort(-x, axis=0),
    "sort flat": lambda x: np.sort(-x, axis=None),
    "tile": lambda x: np.tile(x, 2),
    "tile deep": lambda x: np.tile(x, (2, 1, 3)),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "repeat flat": lambda x: np.repeat(x, 3),
    "hstack": lambda x: np.hstack([x, X]),
    "vstack": lambda x: np.vstack((x, x[0])),
    "dstack": lambda x: np.dstack([x, x]),
    "column_stack": lambda x: np.column_stack([x, x[:, 0]]),
    "atleast_1d": lambda x: np.atleast_1d(x[0, 0]),
    "atleast_2d": lambda x: np.atleast_2d(x[0], x)[0],
    "atleast_3d": np.atleast_3d,
    "broadcast_arrays": lambda x: np.broadcast_arrays(x[0], x)[0],
    "meshgrid": lambda x: np.meshgrid(x[0], x[1])[1],
    "meshgrid ij": lambda x: np.meshgrid(x[0], x[1], indexing="ij")[1],
    "hsplit": lambda x: np.hsplit(x, 3)[1],
    "vsplit": lambda x: np.vsplit(x, [1])[1],
    "dsplit": lambda x: np.dsplit(x[None], 3)[2],
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[1, 1], [0, 2]]), 1),
    "tril": lambda x: np.tril(x + 1),
    "triu": lambda x: np.triu(x + 1, k=1),
    "diag": lambda x: np.diag(x, 1),
    "diagflat": lambda x: np.diagflat(x),
    "diagonal": lambda x: np.diagonal(x, -1),
    "trace": np.trace,
    "trace offset": lambda x: np.trace(x, 1),
    "cumsum": np.cumsum,
    "cumsum axis": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x + 1, 0),
    "diff": lambda x: np.diff(x * x, append=X[:, :1]),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, X, optimize=True),
    "outer": lambda x: np.outer(x, X[0]),
    "inner": lambda x: np.inner(x, X),
    "vdot": lambda x: np.vdot(x, X),
    "kron": lambda x: np.kron(x, X[:1]),
    "tensordot": lambda x: np.tensordot(x, X, axes=([1], [1])),
    "multi_dot": lambda x: np.linalg.multi_dot([x, X.T, X]),
    "append": lambda x: np.append(x, 1),
    "append axis": lambda x: np.append(x, X, axis=0),
    "pad": lambda x: np.pad(x, 1),
    "pad sides": lambda x: np.pad(x, ((0, 1), (2, 0)), constant_values=3),
    "median": np.median,
    "median axis": lambda x: np.median(x, axis=0),
    "quantile": lambda x: np.quantile(x, 0.3, axis=1),
    "percentile": lambda x: np.percentile(x, [20, 70], keepdims=True, axis=0),
    "nanmedian": lambda x: np.nanmedian(x, axis=1),
    "nansum": np.nansum,
    "nanmean": lambda x: np.nanmean(x, axis=0, keepdims=True),
    "nan_to_num": np.nan_to_num,
    "average": lambda x: np.average(x, axis=1),
    "average weights": lambda x: np.average(x, axis=0, weights=X + 1),
    "ptp": lambda x: np.ptp(x * x, axis=0),
    "max axes": lambda x: np.max(x, axis=(0, 1)),
    "min axes": lambda x: np.min(x, axis=[1], keepdims=True) if not isinstance(x, np.ndarray) else x.min(1)[:, None],
    "copy": np.copy,
    "norm": lambda x: np.linalg.norm(x + 1),
    "norm axis": lambda x: np.linalg.norm(x + 1, axis=1, keepdims=True),
    "norm order": lambda x: np.linalg.norm(x + 1, 3, axis=0),
    "norm fro": lambda x: np.linalg.norm(x + 1, "fro"),
    "vector_norm": lambda x: np.linalg.vector_norm(x + 1, axis=1),
    "linalg matmul": lambda x: np.linalg.matmul(x, X.T),
    "linalg trace": np.linalg.trace,
    "linalg vecdot": lambda x: np.linalg.vecdot(x, X),
    "vecdot": lambda x: np.vecdot(x, X),
    "matrix_transpose": np.matrix_transpose,
    "rollaxis": lambda x: np.rollaxis(x, 1),
    "select": lambda x: np.select([X > 3, X > 1], [x, 2 * x], 0),
    "compress": lambda x: np.compress([True, False, True], x, axis=1),
    "exp": np.exp,
    "log": lambda x: np.log(x + 1),
    "sqrt": lambda x: np.sqrt(x + 1),
    "tanh": np.tanh,
    "abs": np.abs,
    "square": np.square,
    "negative": np.negative,
    "reciprocal": lambda x: np.reciprocal(x + 1),
    "maximum": lambda x: np.maximum(x, 1.5),
    "minimum": lambda x: np.minimum(1.5, x),
    "power": lambda x: np.power(x, 2),
    "subtract": lambda x: np.subtract(1, x),
}
REFUSED = {
    "block": (lambda x: np.block([[x], [x]]), "cat or fastnn.functional.stack"),
    "einsum dtype": (lambda x: np.einsum("ij->i", x, dtype="f8"), "a function"),
    "pad of another mode": (lambda x: np.pad(x, 1, mode="edge"), "pad"),
    "sum dtype": (lambda x: np.sum(x, dtype="f8"), "sum"),
    "concatenate dtype": (lambda x: np.concatenate([x, x], dtype="f8"), "cat"),
    "prod axes": (lambda x: np.prod(x, axis=(0, 1)), "prod"),
    "var dtype": (lambda x: np.var(x, dtype="f8"), "var"),
    "resize": (lambda x: np.resize(x, (3, 3)), "reshape"),
    "sinc": (np.sinc, "a function"),
    "nextafter": (lambda x: np.nextafter(x, 1), "a function"),
    "cumsum out": (lambda x: np.cumsum(x, out=np.zeros(6, np.float32)), "a function"),
    "median of axes": (lambda x: np.median(x, axis=(0, 1)), "a function"),
    "norm of a matrix": (lambda x: np.linalg.norm(x, 1), "a function"),
    "percentile of a method": (lambda x: np.percentile(x, 30, method="weibull"), "a function"),
    "average over rows": (lambda x: np.average(x, axis=0, weights=[1, 2]), "a function"),
    "add.reduce": (lambda x: np.add.reduce(x), "an operator"),
    "add out": (lambda x: np.add(x, 1, out=np.zeros((2, 3), np.float32)), "an operator"),
    "full_like": (lambda x: np.full_like(x, x.sum()), "a function"),
    "choose": (lambda x: np.choose([0, 0, 0], [x[0], x[1]]), "where"),
    "copyto": (lambda x: np.copyto(X.copy(), x), "where"),
}
WITHOUT = {
    "isfinite": np.isfinite,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "signbit": np.signbit,
    "greater": lambda x: np.greater(x, 1),
    "equal": lambda x: np.equal(1, x),
    "logical_and": lambda x: np.logical_and(x > 1, x < 3),
    "logical_not": lambda x: np.logical_not(x),
    "logical_or.reduce": lambda x: np.logical_or.reduce(x > 3),
    "isclose": lambda x: np.isclose(x, X),
    "allclose": lambda x: np.allclose(x, X),
    "array_equal": lambda x: np.array_equal(x, X),
    "argmax": lambda x: np.argmax(x, axis=1),
    "argsort": np.argsort,
    "nonzero": lambda x: np.nonzero(x)[1],
    "where": lambda x: np.where(x > 1)[0],
    "any": np.any,
    "all": lambda x: np.all(x, axis=0),
    "count_nonzero": np.count_nonzero,
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
    "full_like": lambda x: np.full_like(x, 2),
    "result_type": lambda x: np.result_type(x),
    "array_repr": lambda x: np.array_repr(x),
}


def leaf():
    return Tensor(X.copy(), requires_grad=True)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name):
    operation = RECORDED[name]
    expected = operation(X)
    for x in (leaf(), Tensor(X)):
        y = operation(x)
        assert isinstance(y, Tensor) and y.requires_grad == x.requires_grad and y.dtype == np.float32
        assert y.shape == np.shape(expected)
        np.testing.assert_allclose(y.numpy(), expected, rtol=2e-7)
    x = leaf()
    weights = np.random.default_rng(0).normal(size=np.shape(expected))
    operation(x).backward(weights)
    step, slopes = 1e-6, np.zeros_like(X, np.float64)
    for i in np.ndindex(*X.shape):
        up, down = X.astype(np.float64), X.astype(np.float64)
        up[i], down[i] = up[i] + step, down[i] - step
        slopes[i] = ((operation(up) - operation(down)) * weights).sum() / (2 * step)
    smooth = name not in ("abs", "clip", "clip named", "clip above", "where", "where right")
    away = np.ones_like(X, bool) if smooth else ~np.isin(X, [0, 1, 3])
    np.testing.assert_allclose(x.grad[away], slopes[away], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_where_a_gradient_would_be_lost(name):
    operation, advice = REFUSED[name]
    with pytest.raises(TypeError, match=f"cannot record a gradient here: use .*{advice}"):
        operation(leaf())
    x = Tensor(X)
    y = operation(x)
    assert not isinstance(y, Tensor)
    with no_grad():  # nothing would be recorded here anyhow
        np.testing.assert_array_equal(operation(leaf()), y)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_gradient_computes(name):
    operation = WITHOUT[name]
    expected = operation(X)
    for x in (leaf(), Tensor(X)):
        y = operation(x)
        assert not getattr(y, "requires_grad", False)
        if isinstance(expected, str):
            assert y == expected
        else:
            np.testing.assert_array_equal(y, expected)


def test_errors_of_numpy():
    with pytest.raises(ValueError, match="equal division"):
        np.split(leaf(), 2, axis=1)
    with pytest.raises(ValueError, match="squeeze"):
        np.squeeze(leaf(), axis=0)
    with pytest.raises(TypeError, match="out= must be an array, not a Tensor"):
        np.add(X, X, out=Tensor(X.copy()))


def test_numpys_assertions_take_tensors():
    np.testing.assert_allclose(leaf(), X)
    np.testing.assert_array_equal(leaf(), X)
    np.testing.assert_equal(leaf(), X)


def test_a_loss_is_looked_at_with_numpy():
    loss = leaf().sum()
    assert np.isfinite(loss) and np.isfinite(leaf()).all() and not np.isnan(leaf()).any()
    assert np.isfinite(leaf()).all(0).tolist() == [True] * 3
    assert (leaf() > 4).any(1, keepdim=True).tolist() == [[False], [True]]


def test_formats():
    loss = leaf().mean()
    assert f"{loss:.4f} {loss} {loss:>6.1f} {Tensor(3):d} {Tensor(True)}" == "2.5000 2.5    2.5 3 True"
    assert f"{Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{leaf():.2f}"


def test_masks():
    x = leaf()
    low, high = x > 1, x < 4
    assert (low & high).tolist() == [[False, False, True], [True, False, False]]
    assert (low | high).all() and not (low ^ low).any() and (~low).tolist() == (X <= 1).tolist()
    for y in (low & True, True & low, np.ones_like(X, bool) & low, low.numpy() & low, np.bitwise_and(low, low)):
        assert isinstance(y, Tensor) and y.dtype == bool and y.tolist() == low.tolist()
    assert (Tensor([6]) & 3).tolist() == [2] and (1 | Tensor([6])).tolist() == [7] and (~Tensor([6])).tolist() == [-7]
    mask = low
    mask &= high
    assert mask is low and mask.tolist() == [[False, False, True], [True, False, False]]
    x[mask].sum().backward()
    np.testing.assert_array_equal(x.grad, mask.numpy())
    with pytest.raises(TypeError, match="bitwise_and"):
        x & x  # noqa: B018
    with pytest.raises(TypeError, match="invert"):
        ~x  # noqa: B018
