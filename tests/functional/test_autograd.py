"""`fastnn.autograd`: gradients on demand, hooks, operations of one's own."""

import gc
import sys
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, autograd, nn, no_grad, optim
from fastnn.autograd import Function, gradcheck
from fastnn.autograd.function import once_differentiable


def leaf(*values):
    return Tensor(np.array(values, np.float64), requires_grad=True)


class TestGrad:
    def test_of_leaves_and_of_what_is_between(self):
        x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
        h = x * w
        y = (h * h).sum()
        dx, dh, dw = autograd.grad(y, [x, h, w])
        assert dh.tolist() == [6, 16] and dx.tolist() == [18, 64] and dw.tolist() == [6, 32]
        assert x.grad is None and w.grad is None and not dx.requires_grad

    def test_only_what_is_needed_is_computed(self):
        asked = []

        @fastnn.differentiable
        def product(a: fastnn.Array, b: fastnn.Array):
            def backward(dy, needs):
                asked.append(needs)
                return dy * b if needs[0] else None, dy * a if needs[1] else None

            return a * b, backward

        x, w = leaf(2.0), leaf(3.0)
        side = product(w, w)
        (dx,) = autograd.grad(product(product(x, w), side).sum(), x)
        assert dx.tolist() == [27] and asked == [(True, False), (True, False)]

    def test_several_outputs_and_their_gradients(self):
        x = leaf(1.0, 2.0)
        y, z = x * 2, x * x
        (dx,) = autograd.grad([y, z], x, [Tensor([1.0, 1.0]), np.array([10.0, 100.0])], retain_graph=True)
        assert dx.tolist() == [22, 402]
        (dx,) = autograd.grad((y.sum(), y.sum(), x), (x,), (None, None, [7.0, 7.0]))
        assert dx.tolist() == [11, 11]

    def test_the_graph_is_freed_unless_retained(self):
        x = leaf(2.0)
        y = x * x
        assert autograd.grad(y, x, retain_graph=True)[0] == 4 and autograd.grad(y, x)[0] == 4
        with pytest.raises(RuntimeError, match="already walked and freed"):
            autograd.grad(y, x)

    def test_unused_inputs(self):
        x, other = leaf(2.0), leaf(1.0, 2.0)
        assert autograd.grad(x * x, [x, other], allow_unused=True)[1] is None
        assert autograd.grad(x * x, [x, other], materialize_grads=True)[1].tolist() == [0, 0]
        with pytest.raises(RuntimeError, match=r"inputs\[1\], of shape \(2,\), was not used"):
            autograd.grad(x * x, [x, other])

    def test_second_derivatives_are_refused(self):
        x = leaf(2.0)
        with pytest.raises(NotImplementedError, match="second derivatives are not there"):
            autograd.grad(x * x, x, create_graph=True)
        with pytest.raises(NotImplementedError, match="second derivatives are not there"):
            (x * x).backward(create_graph=True)

    def test_misuse(self):
        x = leaf(1.0, 2.0)
        with pytest.raises(RuntimeError, match="grad: one of inputs is no tensor that requires"):
            autograd.grad(x.sum(), Tensor([1.0]))
        with pytest.raises(RuntimeError, match="needs an explicit gradient"):
            autograd.grad(x * 2, x)
        with pytest.raises(RuntimeError, match="grad: got 1 tensors but 2 gradients"):
            autograd.grad(x.sum(), x, [None, None])
        with pytest.raises(TypeError, match="grad: expected tensors, got float"):
            autograd.grad(1.0, x)
        with pytest.raises(RuntimeError, match="does not require a gradient"):
            autograd.backward(Tensor([1.0]))
        y = (x * x).sum()
        with no_grad():
            x += 1
        with pytest.raises(RuntimeError, match="written to after mul used it"):
            autograd.grad(y, x)

    def test_flat_gradients_are_left_alone(self, monkeypatch):
        monkeypatch.setattr(sys.modules["fastnn.functional.matmul"], "LARGE", 1)
        layer = nn.Linear(3, 2)
        optim.SGD(layer.parameters())
        y = layer(Tensor(np.ones((4, 3), np.float32)))
        (dw,) = autograd.grad(y.sum(), layer.weight)
        assert layer.weight.grad is None and dw.tolist() == [[4] * 3] * 2
        dw += 1
        assert not layer.weight._leaf.buffer.any()


class TestBackward:
    def test_of_several_tensors(self):
        x = leaf(1.0, 2.0)
        autograd.backward([(x * x).sum(), x * 3], [None, [1.0, 1.0]])
        assert x.grad.tolist() == [5, 7]

    def test_inputs_are_the_only_ones_that_collect(self):
        x, w = leaf(2.0), leaf(3.0)
        (x * w).backward(inputs=[x], retain_graph=True)
        assert x.grad.tolist() == [3] and w.grad is None
        with pytest.raises(RuntimeError, match="inputs must be leaf tensors"):
            (x * w).backward(inputs=[x * 2])


class TestHooks:
    def test_see_and_change_gradients(self):
        x = leaf(1.0, 2.0)
        h = x * 3
        seen = []
        h.register_hook(lambda g: seen.append(g.tolist()))
        double = h.register_hook(lambda g: g * 2)
        (h * h).sum().backward(retain_graph=True)
        assert seen == [[6, 12]] and x.grad.tolist() == [36, 72]
        double.remove()
        x.grad = None
        with h.register_hook(lambda g: g * 0):
            pass
        (h * 1).sum().backward()
        assert x.grad.tolist() == [3, 3] and len(seen) == 2

    def test_of_leaves_run_once_per_backward(self):
        x = leaf(1.0, 2.0)
        seen = []
        handle = x.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
        (x * x + x).sum().backward()
        assert seen == [[3, 5]] and x.grad.tolist() == [30, 50]
        (dx,) = autograd.grad((x * x).sum(), x)
        assert dx.tolist() == [20, 40] and x.grad.tolist() == [30, 50]
        handle.remove()
        (x * 1).sum().backward()
        assert x.grad.tolist() == [31, 51]

    def test_of_parameters_with_flat_gradients(self, monkeypatch):
        monkeypatch.setattr(sys.modules["fastnn.functional.matmul"], "LARGE", 1)
        layer = nn.Linear(3, 2, bias=False)
        optimizer = optim.SGD(layer.parameters(), lr=1.0)
        layer.weight.register_hook(lambda g: g * 0 + 1)
        before = layer.weight.numpy().copy()
        layer(Tensor(np.ones((4, 3), np.float32))).sum().backward()
        optimizer.step()
        np.testing.assert_allclose(layer.weight, before - 1, rtol=1e-6)

    def test_misuse(self):
        x = leaf(1.0)
        with pytest.raises(RuntimeError, match="register_hook: this tensor does not require"):
            Tensor([1.0]).register_hook(print)
        (x * 2).register_hook(lambda g: np.zeros(3))
        y = x * 2
        y.register_hook(lambda g: np.zeros(3))
        with pytest.raises(RuntimeError, match=r"a hook gave a gradient of shape \(3,\)"):
            y.backward()
        y = x * 2
        y.backward()
        with pytest.raises(RuntimeError, match="already walked"):
            y.register_hook(print)

    def test_retain_grad(self):
        x = leaf(1.0, 2.0)
        h = x * 3
        assert not h.retains_grad and h.grad is None
        h.retain_grad()
        h.retain_grad()
        h.register_hook(lambda g: g * 2)
        for k in (1, 2):
            (h * h).sum().backward(retain_graph=True)
            assert h.retains_grad and h.grad.tolist() == [12 * k, 24 * k]
        x.retain_grad()
        with pytest.raises(RuntimeError, match="retain_grad: this tensor does not require"):
            Tensor([1.0]).retain_grad()

    def test_of_one_of_several_results(self):
        x = leaf(1.0, 2.0, 3.0)
        a, b = x.split([1, 2])
        b.register_hook(lambda g: g * 5)
        (a.sum() + b.sum()).backward()
        assert x.grad.tolist() == [1, 5, 5]


class Cube(Function):
    @staticmethod
    def forward(ctx, x, scale=1.0):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        assert not fastnn.is_grad_enabled()
        return 3 * ctx.scale * x**2 * dy, None


class Both(Function):
    @staticmethod
    def forward(a, b):
        return a * b, a + b, (a > b)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.mark_non_differentiable(output[2])

    @staticmethod
    def backward(ctx, dproduct, dsum, _):
        a, b = ctx.saved_tensors
        return (dproduct * b + dsum, dproduct * a + dsum) if ctx.needs_input_grad[1] else (dproduct * b + dsum, None)


class TestFunction:
    def test_one_result(self):
        x = leaf(2.0, 3.0)
        y = Cube.apply(x, 2.0)
        assert y.requires_grad and y.tolist() == [16, 54] and y.grad_fn.name() == "CubeBackward"
        y.sum().backward()
        assert x.grad.tolist() == [24, 54]
        assert not Cube.apply(Tensor([1.0])).requires_grad
        with no_grad():
            assert not Cube.apply(x).requires_grad
        assert gradcheck(Cube.apply, (x, 0.5))

    def test_several_results(self):
        a, b = leaf(2.0), leaf(3.0)
        product, total, mask = Both.apply(a, b)
        assert product.requires_grad and total.requires_grad and not mask.requires_grad
        product.sum().backward(retain_graph=True)  # the sum's gradient is zeros
        assert a.grad.tolist() == [3] and b.grad.tolist() == [2]
        (product + total).sum().backward()
        assert a.grad.tolist() == [7] and b.grad.tolist() == [5]
        (dx,) = autograd.grad(Both.apply(a, Tensor([3.0]))[0].sum(), a)
        assert dx.tolist() == [3]

    def test_mistakes_are_named(self):
        class Short(Function):
            @staticmethod
            def forward(ctx, a, b):
                return a * b

            @staticmethod
            def backward(ctx, dy):
                return dy

        class Wrong(Short):
            @staticmethod
            def backward(ctx, dy):
                return dy.sum(), None

        x = leaf(1.0, 2.0)
        with pytest.raises(RuntimeError, match="Short.backward gave 1 gradients for 2 arguments"):
            Short.apply(x, x).sum().backward()
        with pytest.raises(RuntimeError, match=r"Wrong.backward gave a gradient of shape \(\) for argument 0"):
            Wrong.apply(x, 1.0).sum().backward()
        with pytest.raises(NotImplementedError, match="static method forward"):
            Function.apply(x)
        with pytest.raises(TypeError, match="save_for_backward: expected tensors"):
            fastnn.autograd.function.FunctionCtx().save_for_backward(1.0)

    def test_makes_no_cycles(self):
        class Exp(Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, dy):
                return dy * ctx.saved_tensors[0]

        gc.collect()
        gc.disable()
        try:
            y = Exp.apply(leaf(1.0))
            gone = weakref.ref(y)
            del y
            assert gone() is None
        finally:
            gc.enable()


class TestGradcheck:
    def test_finds_right_and_wrong_gradients(self):
        class Wrong(Cube):
            @staticmethod
            def backward(ctx, dy):
                return dy, None

        x = leaf(2.0, 3.0)
        assert gradcheck(lambda a, b: (a * b, a.exp()), (x, leaf(1.0, 5.0)))
        assert not gradcheck(Wrong.apply, (x, 1.0), raise_exception=False)
        with pytest.raises(autograd.GradcheckError, match="result 0 with regard to input 0"):
            gradcheck(Wrong.apply, (x, 1.0))
        with pytest.raises(ValueError, match="none of the inputs requires"):
            gradcheck(Cube.apply, Tensor([1.0]))


def test_older_names():
    x = autograd.Variable(np.ones(2), requires_grad=True)
    assert isinstance(x, Tensor) and isinstance(x, autograd.Variable) and x.requires_grad
    with autograd.detect_anomaly(), autograd.set_detect_anomaly(True), autograd.no_grad():
        assert not (x * 2).requires_grad
    assert (x * 2).grad_fn.name() == "MulBackward" and x.grad_fn is None and "Mul" in repr((x * 2).grad_fn)
    (product, _), (leaf, place) = (2 * x + x).grad_fn.next_functions
    assert product.name() == "MulBackward" and leaf.name() == "AccumulateGrad" == repr(leaf)[1:-1] and place == 0
    assert product.next_functions == ((leaf, 0),) and leaf.next_functions == ()
