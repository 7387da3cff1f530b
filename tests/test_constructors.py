"""Functions that make tensors: of data, numbers, sequences and random numbers."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import Tensor

F4, F8, I8 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


class TestData:
    @pytest.mark.parametrize("data, dtype", [
        (1, I8), (1.0, F4), (True, np.bool_), ([1, 2], I8), ([1, 2.0], F4), ([[True], [False]], np.bool_),
        (np.arange(3, dtype=np.int8), np.int8), (np.ones(2), F8), (np.float64(3), F8), ([], F4), ([[], []], F4),
        ([fastnn.tensor(1.0), 2.0], F4), (np.ones(2, ">f4"), F4), (np.ones(2, np.float16), np.float16),
    ])  # fmt: skip
    def test_dtypes(self, data, dtype):
        made = fastnn.tensor(data)
        assert made.dtype == dtype and made.dtype.isnative and made.shape == np.shape(data)

    def test_tensor_copies_and_others_share(self):
        array = np.ones((2, 3), np.float32)[:, ::-1]
        copied, shared, same = fastnn.tensor(array), fastnn.as_tensor(array), fastnn.from_numpy(array)
        array[0, 0] = 5
        assert copied[0, 0] == 1 and shared[0, 0] == 5 and same[0, 0] == 5
        assert fastnn.as_tensor(shared) is shared and fastnn.as_tensor(shared, dtype=F8).dtype == F8
        assert fastnn.asarray(array, copy=True)[0, 0] == 5
        assert fastnn.asarray(array).numpy() is not None and np.shares_memory(fastnn.asarray(array).numpy(), array)
        with pytest.raises(ValueError, match="asarray: copy=False"):
            fastnn.asarray([1, 2], copy=False)
        with pytest.raises(TypeError, match="from_numpy: expected an array"):
            fastnn.from_numpy([1, 2])

    def test_gradients(self):
        x = fastnn.tensor([1.0, 2.0], requires_grad=True)
        y = fastnn.tensor(x)
        assert x.requires_grad and x.is_leaf and not y.requires_grad and y.numpy() is not x.numpy()
        with pytest.raises(TypeError, match="only float32 and float64"):
            fastnn.tensor([1], requires_grad=True)

    @pytest.mark.parametrize("data", [None, "text", [[1], [1, 2]], np.ma.masked_array([1.0], [True]), [object()], 1j])
    def test_what_is_no_numbers(self, data):
        with pytest.raises(TypeError, match="Tensor: "):
            fastnn.tensor(data)
        with pytest.raises(TypeError, match="Tensor: "):
            fastnn.as_tensor(data)

    def test_memory_of_other_kinds(self, tmp_path):
        np.arange(6, dtype=np.float32).tofile(tmp_path / "numbers")
        mapped = np.memmap(tmp_path / "numbers", np.float32, "r", shape=(2, 3))
        assert fastnn.as_tensor(mapped).sum() == 15 and np.shares_memory(fastnn.as_tensor(mapped).numpy(), mapped)
        buffer = bytearray(np.arange(3, dtype=np.int16).tobytes())
        made = fastnn.frombuffer(buffer, dtype=fastnn.int16, offset=2)
        made[0] = 7
        assert made.tolist() == [7, 2] and buffer[2] == 7

    def test_older_constructors(self):
        assert fastnn.LongTensor([1.0, 2.0]).tolist() == [1, 2] and fastnn.FloatTensor(2, 3).shape == (2, 3)
        assert fastnn.BoolTensor([0, 2]).tolist() == [False, True]


class TestNumbers:
    def test_sizes(self):
        for made in (fastnn.zeros(2, 3), fastnn.zeros((2, 3)), fastnn.zeros([2, 3]), fastnn.zeros(size=(2, 3))):
            assert made.shape == (2, 3) and made.dtype == F4 and not made.any()
        assert fastnn.ones(()).item() == 1 and fastnn.empty(0, 4).shape == (0, 4)
        assert fastnn.ones(np.int64(2), fastnn.tensor(3), dtype=fastnn.int8).sum() == 6
        assert fastnn.ones(2, requires_grad=True).requires_grad

    @pytest.mark.parametrize("value, dtype", [(2, I8), (2.0, F4), (False, np.bool_), (fastnn.tensor(2.0), F4)])
    def test_full(self, value, dtype):
        made = fastnn.full((2, 2), value)
        assert made.dtype == dtype and (made == value).all()

    def test_like(self):
        x = fastnn.arange(6).reshape(2, 3)
        for name in ("zeros", "ones", "empty"):
            made = getattr(fastnn, f"{name}_like")(x)
            assert made.shape == (2, 3) and made.dtype == I8
        assert fastnn.full_like(x, 7, dtype=fastnn.float32).tolist() == [[7.0] * 3] * 2
        with pytest.raises(TypeError, match="zeros_like: input must be a tensor"):
            fastnn.zeros_like(3)

    def test_eye(self):
        np.testing.assert_array_equal(fastnn.eye(3, 2), np.eye(3, 2))
        assert fastnn.eye(2, dtype=fastnn.int64).dtype == I8

    def test_out(self):
        target = fastnn.empty(2, 3)
        assert fastnn.ones(2, 3, out=target) is target and target.sum() == 6

    @pytest.mark.parametrize("wrong, error", [
        (lambda: fastnn.zeros(-1), ValueError), (lambda: fastnn.zeros(1.5), TypeError),
        (lambda: fastnn.zeros("2"), TypeError), (lambda: fastnn.zeros(2, dtype="text"), TypeError),
        (lambda: fastnn.zeros(2, dtype=np.complex64), TypeError), (lambda: fastnn.zeros(2, shape=3), TypeError),
        (lambda: fastnn.zeros(2, out=fastnn.zeros(3)), ValueError), (lambda: fastnn.eye(-1), ValueError),
    ])  # fmt: skip
    def test_misuse(self, wrong, error):
        with pytest.raises(error, match="^(zeros|eye): "):
            wrong()


class TestSequences:
    @pytest.mark.parametrize("arguments", [(5,), (2, 5), (0, 1, 0.1), (5, 0, -2), (3, 3), (0.5, 3), (1, 10, 4)])
    def test_arange(self, arguments):
        made = fastnn.arange(*arguments)
        np.testing.assert_allclose(made, np.arange(*arguments), rtol=1e-6)
        assert made.dtype == (F4 if any(isinstance(x, float) for x in arguments) else I8)
        assert fastnn.arange(*arguments, dtype=fastnn.float64).dtype == F8

    def test_linspace_and_logspace(self):
        np.testing.assert_allclose(fastnn.linspace(-1, 1, 5), [-1, -0.5, 0, 0.5, 1])
        np.testing.assert_allclose(fastnn.logspace(0, 3, steps=4, base=2), [1, 2, 4, 8])
        assert fastnn.linspace(0, 1, 0).shape == (0,) and fastnn.linspace(3, 9, 1).tolist() == [3]

    @pytest.mark.parametrize("wrong, error", [
        (lambda: fastnn.arange(0, 1, 0), ValueError), (lambda: fastnn.arange(0, 1, -1), ValueError),
        (lambda: fastnn.arange("3"), TypeError), (lambda: fastnn.arange(math.inf), ValueError),
        (lambda: fastnn.linspace(0, 1, -1), ValueError), (lambda: fastnn.linspace(0, 1, 2.0), TypeError),
    ])  # fmt: skip
    def test_misuse(self, wrong, error):
        with pytest.raises(error, match="^(arange|linspace): "):
            wrong()


DRAWS = {
    "rand": lambda g: fastnn.rand(2, 3, generator=g),
    "randn": lambda g: fastnn.randn((2, 3), generator=g, dtype=fastnn.float64),
    "randint": lambda g: fastnn.randint(0, 1000, (2, 3), generator=g),
    "randperm": lambda g: fastnn.randperm(20, generator=g),
    "multinomial": lambda g: fastnn.multinomial(fastnn.ones(2, 30), 20, generator=g),
    "bernoulli": lambda g: fastnn.bernoulli(fastnn.full((40,), 0.5), generator=g),
    "normal": lambda g: fastnn.normal(fastnn.zeros(3), 2.0, generator=g),
    "poisson": lambda g: fastnn.poisson(fastnn.full((40,), 5.0), generator=g),
    "rand_like": lambda g: fastnn.rand_like(fastnn.zeros(3), generator=g),
    "randn_like": lambda g: fastnn.randn_like(fastnn.zeros(3), generator=g),
    "randint_like": lambda g: fastnn.randint_like(fastnn.zeros(30), 9, generator=g),
    "normal_": lambda g: fastnn.zeros(3).normal_(1, 2, generator=g),
    "uniform_": lambda g: fastnn.zeros(3).uniform_(generator=g),
    "bernoulli_": lambda g: fastnn.zeros(40).bernoulli_(0.5, generator=g),
    "exponential_": lambda g: fastnn.zeros(3).exponential_(generator=g),
    "log_normal_": lambda g: fastnn.zeros(3).log_normal_(generator=g),
    "random_": lambda g: fastnn.zeros(30).random_(generator=g),
}


class TestRandom:
    @pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
    def test_the_seed_decides(self, draw):
        fastnn.manual_seed(3)
        first, second = draw(None), draw(None)
        fastnn.manual_seed(3)
        np.testing.assert_array_equal(draw(None), first)
        assert not np.array_equal(first, second)
        own = fastnn.Generator().manual_seed(3)
        before = fastnn.get_rng_state()
        np.testing.assert_array_equal(draw(own), first)
        assert fastnn.get_rng_state() == before
        np.testing.assert_array_equal(draw(np.random.default_rng(3)), first)
        with pytest.raises(TypeError, match="generator must be a fastnn.Generator"):
            draw(3)

    def test_generators(self):
        g = fastnn.Generator(device="cpu")
        state = g.get_state()
        first = fastnn.rand(5, generator=g)
        g.set_state(state)
        np.testing.assert_array_equal(fastnn.rand(5, generator=g), first)
        assert g.manual_seed(5) is g and g.initial_seed() == 5 and g.seed() == g.initial_seed() != 5
        with pytest.raises(ValueError, match="not a state of a generator"):
            g.set_state({"seed": 1})
        assert fastnn.manual_seed(7) is fastnn.default_generator and fastnn.initial_seed() == 7
        with fastnn.fork_rng():
            first = fastnn.rand(3)
        np.testing.assert_array_equal(fastnn.rand(3), first)
        state = fastnn.default_generator.get_state()
        first = fastnn.rand(3)
        fastnn.default_generator.set_state(state)
        np.testing.assert_array_equal(fastnn.rand(3, generator=fastnn.default_generator), first)
        assert fastnn.seed() == fastnn.initial_seed()

    def test_distributions(self):
        fastnn.manual_seed(0)
        n = 20_000
        near = 5 / math.sqrt(n)
        x = fastnn.rand(n)
        assert 0 <= x.min() and x.max() < 1 and abs(x.mean() - 0.5) < near
        x = fastnn.randn(n)
        assert abs(x.mean()) < near and abs(x.std() - 1) < near
        x = fastnn.normal(3.0, 2.0, size=(n,))
        assert abs(x.mean() - 3) < 2 * near and abs(x.std() - 2) < 2 * near
        x = fastnn.randint(3, (n,))
        assert x.dtype == I8 and x.min() == 0 and x.max() == 2
        assert abs(fastnn.bernoulli(fastnn.full((n,), 0.3)).mean() - 0.3) < near
        assert abs(fastnn.zeros(n).exponential_(2.0).mean() - 0.5) < near
        x = fastnn.zeros(n).uniform_(-2, 2)
        assert -2 <= x.min() < -1.9 and 1.9 < x.max() <= 2
        assert sorted(fastnn.randperm(50).tolist()) == list(range(50))

    @pytest.mark.parametrize("replacement", [True, False])
    def test_multinomial_draws_by_weight(self, replacement):
        fastnn.manual_seed(0)
        weights = fastnn.tensor([0.0, 1.0, 3.0, 0.0])
        drawn = fastnn.multinomial(weights.expand(20_000, 4), 1, replacement)
        counts = np.bincount(drawn.numpy().ravel(), minlength=4) / 20_000
        np.testing.assert_allclose(counts, [0, 0.25, 0.75, 0], atol=0.02)
        assert drawn.dtype == I8 and fastnn.multinomial(weights, 2).shape == (2,)
        assert set(fastnn.multinomial(weights, 2).tolist()) == {1, 2}
        assert set(fastnn.multinomial(weights, 50, True).tolist()) == {1, 2}

    @pytest.mark.parametrize("wrong, error", [
        (lambda: fastnn.multinomial(fastnn.tensor([1.0, 0.0]), 2), ValueError),
        (lambda: fastnn.multinomial(fastnn.tensor([-1.0, 2.0]), 1), ValueError),
        (lambda: fastnn.multinomial(fastnn.tensor([0.0, 0.0]), 1), ValueError),
        (lambda: fastnn.multinomial(fastnn.tensor([1, 2]), 1), TypeError),
        (lambda: fastnn.multinomial(fastnn.zeros(1, 1, 1), 1), ValueError),
        (lambda: fastnn.bernoulli(fastnn.tensor([1.5])), ValueError),
        (lambda: fastnn.randint(3), TypeError), (lambda: fastnn.randint(3, 3, (2,)), ValueError),
        (lambda: fastnn.randint(0, 2.5, (2,)), TypeError), (lambda: fastnn.randperm(-1), ValueError),
        (lambda: fastnn.rand(2, dtype=fastnn.int64), TypeError), (lambda: fastnn.normal(0.0, -1.0, (2,)), ValueError),
        (lambda: fastnn.poisson(fastnn.tensor([-1.0])), ValueError),
    ])  # fmt: skip
    def test_misuse(self, wrong, error):
        with pytest.raises(error, match="^(multinomial|bernoulli|randint|randperm|rand|normal|poisson): "):
            wrong()

    def test_results_are_tensors(self):
        assert all(isinstance(draw(None), Tensor) for draw in DRAWS.values())
