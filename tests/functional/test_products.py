"""Products and einsum: the values of NumPy, and what is refused."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F
from tests.reference.scan import EPS

EQUATIONS = [
    "ij,jk->ik", "ij,jk", "ij->ji", "ij->", "ii->i", "ii", "i,j->ij", "i,i->i", "bij,bjk->bik", "bqhd,bkhd->bhqk",
    "ij,jk,kl->il", "i,ij,j", "bn,anm,bm->ba", "...ij,...jk->...ik", "...i->...", "i...->...i", "iij,jk->ki", "ba,bca",
    " a b , b -> a ", "Ab,bA->A", "ij,kl->ljik", "a,ab,abc->abc", "->", "i,->i", "aij,jk,kl,lm->aim",
]  # fmt: skip


def operands(rng, equation, empty=False):
    """Draw operands of sizes 2, 3, ... by letter; an ellipsis stands for (2, 3)."""
    sizes: dict = {}
    made = []
    for term in equation.replace(" ", "").partition("->")[0].split(","):
        shape = []
        for label in term.replace("...", "."):
            shape += [2, 3] if label == "." else [sizes.setdefault(label, 0 if empty and not sizes else len(sizes) + 2)]
        made.append(rng.normal(size=shape))
    return made


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(rng, equation, dtype):
    for empty in (False, True):
        xs = [x.astype(dtype) for x in operands(rng, equation, empty)]
        y, expected = F.einsum(equation, *xs), np.einsum(equation, *[x.astype(np.float64) for x in xs])
        assert y.shape == expected.shape and y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=100 * EPS[np.dtype(dtype)], atol=100 * EPS[np.dtype(dtype)])


def test_einsum_of_other_operands(rng):
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    expected = x @ y
    for a in (np.asfortranarray(x), x[::-1][::-1], x.astype(">f8"), Tensor(x)):
        np.testing.assert_allclose(F.einsum("ij,jk", [a, y]), expected)
    np.testing.assert_allclose(F.einsum(x, [..., 7], y, [7, 3], [3, ...]), expected.T)
    np.testing.assert_allclose(F.einsum("ij,jk", x[:, :1], y), x[:, :1] * y.sum(0))  # a length of 1 is broadcast
    integers = np.arange(12).reshape(4, 3)
    np.testing.assert_array_equal(F.einsum("ij,kj->ik", integers, integers), integers @ integers.T)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("ij,jk", np.ones((2, 3)), np.ones((4, 5))), ValueError, "einsum: 'j' has lengths 3 and 4"),
        (("ij", np.ones((2, 3)), np.ones(3)), ValueError, "einsum: 'ij' is for 1 operands, got 2"),
        (("ij->il", np.ones((2, 3))), ValueError, "einsum: 'l' of the result is in no operand"),
        (("i->ii", np.ones(2)), ValueError, "einsum: the result 'ii' holds a letter twice"),
        (("ij", np.ones(2)), ValueError, r"einsum: operands\[0\] of shape \(2,\) does not fit 'ij'"),
        (("i", np.ones((2, 3))), ValueError, r"einsum: operands\[0\] of shape \(2, 3\) does not fit 'i'"),
        (("i1", np.ones((2, 3))), ValueError, "einsum: 'i1' may hold letters"),
        (("...i...", np.ones((2, 3))), ValueError, "einsum: '...i...' may hold letters"),
        (("ii", np.ones((2, 3))), ValueError, "einsum: 'i' has lengths 2 and 3"),
        (("i", None), TypeError, r"einsum: operands\[0\] must be a tensor or an array, got None"),
        ((np.ones(2), [0.5]), ValueError, "einsum: lists must hold integers of 0 .. 51"),
        ((np.ones(2), "i"), TypeError, "einsum: expected an equation and tensors"),
    ],
)
def test_einsum_that_makes_no_sense(arguments, error, message):
    with pytest.raises(error, match=message):
        F.einsum(*arguments)


def test_products(rng):
    a, b, c, v, w = (rng.normal(size=shape) for shape in ((2, 3, 4), (2, 4, 5), (3, 5), (4,), (5,)))
    m, n = a[0], b[0]
    expected = {
        "mm": (F.mm(m, n), m @ n),
        "bmm": (F.bmm(a, b), a @ b),
        "mv": (F.mv(m, v), m @ v),
        "dot": (F.dot(v, v), v @ v),
        "outer": (F.outer(v, w), np.outer(v, w)),
        "inner": (F.inner(a, b.swapaxes(1, 2)), np.inner(a, b.swapaxes(1, 2))),
        "tensordot": (F.tensordot(a, b, ([0, 2], [0, 1])), np.tensordot(a, b, ([0, 2], [0, 1]))),
        "kron": (F.kron(m, v), np.kron(m, v)),
        "chain": (F.chain_matmul(m.T, c, n.T), m.T @ c @ n.T),
        "multi_dot": (F.multi_dot([v, m.T, c, w]), v @ m.T @ c @ w),
        "addmm": (F.addmm(c, m, n, beta=2, alpha=-1), 2 * c - m @ n),
        "addmv": (F.addmv(c[:, 0], m, v), c[:, 0] + m @ v),
        "addr": (F.addr(n, v, w, alpha=3), n + 3 * np.outer(v, w)),
        "baddbmm": (F.baddbmm(c, a, b, beta=0.5), 0.5 * c + a @ b),
        "addbmm": (F.addbmm(c, a, b), c + (a @ b).sum(0)),
        "bilinear": (F.bilinear(v, w, b, w[:2]), np.einsum("i,oij,j->o", v, b, w) + w[:2]),
    }
    for name, (y, right) in expected.items():
        np.testing.assert_allclose(y, right, rtol=1e-13, atol=1e-13, err_msg=name)


def test_beta_0_does_not_look_at_the_input():
    y = F.addmm(np.full((2, 2), np.nan), np.eye(2), np.eye(2), beta=0)
    np.testing.assert_array_equal(y, np.eye(2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.mm(x, x), ValueError, r"mm: input of shape \(3, 4\) and mat2 of shape \(3, 4\) do not fit"),
        (lambda x: F.mm(x[None], x), ValueError, r"mm: input must have 2 dimensions, got shape \(1, 3, 4\)"),
        (lambda x: F.bmm(x[None], np.ones((2, 4, 1))), ValueError, "bmm: input of shape"),
        (lambda x: F.mv(x, x[:, 0]), ValueError, "mv: input of shape"),
        (lambda x: F.dot(x[0], x[:, 0]), ValueError, "dot: input of shape"),
        (lambda x: F.outer(x, x[0]), ValueError, "outer: input must be a vector"),
        (lambda x: F.inner(x, x.T), ValueError, "inner: shapes"),
        (lambda x: F.tensordot(x, x, 3), ValueError, "tensordot: dims 3 is too many"),
        (lambda x: F.tensordot(x, x, ([0], [1])), ValueError, "tensordot: dims .* have different lengths"),
        (lambda x: F.chain_matmul(x, x), ValueError, r"chain_matmul: shapes \(3, 4\), \(3, 4\)"),
        (lambda x: F.multi_dot([x]), ValueError, "multi_dot: expected at least two tensors"),
        (lambda x: F.addmm(x, x, x.T), ValueError, r"addmm: input of shape \(3, 4\) cannot be added"),
        (lambda x: F.addmm(None, x, x.T), TypeError, "addmm: input must be a tensor or an array, got None"),
        (lambda x: F.bilinear(x, x, np.ones((2, 4, 3))), ValueError, "bilinear: input1 of shape"),
        (lambda x: F.bilinear(x, x, np.ones((2, 4, 4)), x[0]), ValueError, r"bilinear: bias must have shape \(2,\)"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(np.zeros((3, 4)))
