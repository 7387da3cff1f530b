"""``import fastnn as torch``: the names of PyTorch's top level, and what its scripts ask before they begin."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import Tensor
from fastnn.functional import names


class TestTables:
    def test_functions_stand_at_the_top_level_and_as_methods(self):
        x = np.linspace(-1, 1, 6).reshape(2, 3)
        for name in ("abs", "exp", "sum", "matmul", "eq", "isfinite", "any", "clamp"):
            assert getattr(fastnn, name) is getattr(fastnn.functional, name)
        assert fastnn.concatenate is fastnn.cat and fastnn.multiply is fastnn.mul
        assert Tensor(x).absolute().tolist() == abs(x).tolist()

    @pytest.mark.parametrize("name", sorted(names.IN_PLACE & set(fastnn.functional.__all__)))
    def test_every_method_in_place_is_the_method(self, name):
        assert getattr(Tensor, f"{name}_").__doc__.startswith("Do as `")

    def test_no_name_stands_twice(self):
        assert not names.BOTH & names.TOP_LEVEL and not names.BOTH & names.METHODS
        assert not names.ALIASES.keys() & (names.BOTH | names.TOP_LEVEL | names.METHODS)


def test_packages_stand_where_pytorchs_do():
    import fastnn.autograd as autograd
    import fastnn.backends.cudnn as cudnn
    import fastnn.nn.functional as F
    import fastnn.optim.lr_scheduler as lr_scheduler
    from fastnn.autograd.function import Function
    from fastnn.nn import init
    from fastnn.utils.data import DataLoader, Dataset, RandomSampler
    from fastnn.utils.data.dataloader import DataLoader as of_dataloader
    from fastnn.utils.data.dataset import Dataset as of_dataset
    from fastnn.utils.data.sampler import RandomSampler as of_sampler

    assert (of_dataloader, of_dataset, of_sampler) == (DataLoader, Dataset, RandomSampler)
    assert F.relu is fastnn.relu and fastnn.nn.functional is F and fastnn.nn.init is init
    assert fastnn.autograd is autograd and autograd.Function is Function and fastnn.backends.cudnn is cudnn
    assert fastnn.utils.data.DataLoader is DataLoader and fastnn.optim.lr_scheduler is lr_scheduler


class TestMixedPrecision:
    def test_changes_nothing(self):
        from fastnn.cuda import amp

        x, scaler = fastnn.ones(2, requires_grad=True), fastnn.amp.GradScaler("cpu")
        optimizer = fastnn.optim.SGD([x], lr=1.0)

        @fastnn.amp.autocast("cpu")
        def double(x):
            return x * 2

        with fastnn.amp.autocast(device_type="cpu", dtype=fastnn.float32), amp.autocast(enabled=False):
            scaler.scale(double(x).sum()).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert x.tolist() == [-1, -1] and scaler.get_scale() == 1 and not scaler.is_enabled()
        scaler.load_state_dict(scaler.state_dict())
        with fastnn.autocast("cpu", dtype=fastnn.bfloat16):
            assert (x * 2).dtype == np.float32


class TestDevices:
    def test_there_is_only_the_cpu(self):
        assert not fastnn.cuda.is_available() and fastnn.cuda.device_count() == 0
        assert not fastnn.backends.mps.is_available() and not fastnn.xpu.is_available()
        assert not fastnn.accelerator.is_available() and fastnn.accelerator.current_accelerator() is None
        device = fastnn.device("cuda" if fastnn.cuda.is_available() else "cpu")
        assert device.type == "cpu" and str(device) == "cpu" and device == fastnn.zeros(2).device
        assert fastnn.zeros(2, device=device).to("cpu").to(device).cpu().device == fastnn.device("cpu")
        fastnn.backends.cudnn.benchmark = True
        fastnn.backends.cudnn.benchmark = False

    @pytest.mark.parametrize("ask", [
        lambda: fastnn.device("cuda"),
        lambda: fastnn.device("cuda:1"),
        lambda: fastnn.zeros(2, device="cuda"),
        lambda: fastnn.zeros(2).to("cuda"),
        lambda: fastnn.zeros(2).to(device="mps"),
        lambda: fastnn.zeros(2).cuda(),
        lambda: fastnn.tensor([1.0], device=0),
        lambda: fastnn.set_default_device("xpu"),
    ])  # fmt: skip
    def test_others_are_refused(self, ask):
        with pytest.raises(RuntimeError, match="fastnn computes on the CPU"):
            ask()

    def test_what_is_not_there_says_so(self):
        with pytest.raises(AttributeError, match="fastnn computes on the CPU"):
            fastnn.cuda.Stream  # noqa: B018
        assert fastnn.zeros(2).dtype != fastnn.bfloat16 and repr(fastnn.complex64) == "fastnn.complex64"
        for use in (
            lambda d: fastnn.zeros(2, dtype=d),
            lambda d: fastnn.zeros(2).to(d),
            lambda d: fastnn.zeros(2).type(d),
        ):
            with pytest.raises(TypeError, match="there is no bfloat16 here: fastnn computes in float32 and float64"):
                use(fastnn.bfloat16)
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            fastnn.nonsense  # noqa: B018
        with pytest.raises(TypeError, match="device must be 'cpu', got float"):
            fastnn.zeros(2, device=1.5)


class TestDistributed:
    def test_there_is_one_process(self):
        import fastnn.distributed as dist

        assert not dist.is_available() and not dist.is_initialized() and dist.get_rank() == 0
        assert dist.get_world_size() == 1
        dist.barrier()
        dist.destroy_process_group()
        with pytest.raises(RuntimeError, match="init_process_group: fastnn trains in one process"):
            dist.init_process_group("nccl")


class TestSettings:
    def test_dtypes(self):
        assert fastnn.float32 == fastnn.float == np.float32 and fastnn.long == fastnn.int64 == np.int64
        assert fastnn.finfo(fastnn.float32).max == np.finfo(np.float32).max and fastnn.iinfo(fastnn.int8).max == 127
        assert fastnn.result_type(fastnn.zeros(2), 1) == np.float32
        assert fastnn.result_type(fastnn.zeros(2), np.arange(2)) == np.float32
        assert fastnn.promote_types(fastnn.int64, fastnn.float32) == np.float32
        assert fastnn.can_cast(fastnn.int32, fastnn.float32) and not fastnn.can_cast(fastnn.float32, fastnn.int64)

    def test_default_dtype(self):
        try:
            fastnn.set_default_dtype(fastnn.float64)
            assert fastnn.zeros(2).dtype == fastnn.tensor([1.0]).dtype == fastnn.get_default_dtype() == np.float64
            assert fastnn.rand(2).dtype == fastnn.arange(0, 1, 0.5).dtype == np.float64
        finally:
            fastnn.set_default_dtype(fastnn.float32)
        assert fastnn.zeros(2).dtype == np.float32
        with pytest.raises(TypeError, match="set_default_dtype: d must be float32 or float64"):
            fastnn.set_default_dtype(fastnn.int64)

    def test_printing(self):
        x = fastnn.tensor([math.pi, 100.0])
        before = repr(x)
        try:
            fastnn.set_printoptions(precision=2)
            assert repr(x) == "Tensor([  3.14, 100.  ])"
            fastnn.set_printoptions(profile="full")
            assert "..." not in repr(fastnn.zeros(2000))
        finally:
            fastnn._tensor.PRINTING.clear()
        assert repr(x) == before
        with pytest.raises(ValueError, match="profile must be"):
            fastnn.set_printoptions(profile="long")

    def test_models_are_given_back(self):
        def model(x):
            return x

        assert fastnn.compile(model) is model and fastnn.compile(mode="max")(model) is model
        assert fastnn.jit.script(model) is model and fastnn.jit.trace(model, fastnn.zeros(1)) is model
        assert not fastnn.jit.is_scripting() and not fastnn.jit.is_tracing() and fastnn.fx.wrap(model) is model
        assert fastnn.is_tensor(fastnn.zeros(1)) and not fastnn.is_tensor(np.zeros(1))
