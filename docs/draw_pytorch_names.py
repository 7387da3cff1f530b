"""Write docs/pytorch-names.md: where PyTorch's names are here, and what differs.

`pytorch_names.json` lists what PyTorch 2.13 documents for people, without quantised, sparse and complex numbers, what
works on its own internals, and what its pages call deprecated. A name is found by looking; DIFFERENCES says what no
program can find out.
"""

from __future__ import annotations

import json
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from textwrap import fill
from typing import Any

HERE = Path(__file__).parent

HEAD = """# PyTorch's names

PyTorch 2.13's public names, by module. Each section has first a table of the names whose behaviour differs, then the
names that behave as in PyTorch, then those that are missing (AttributeError). Differences that concern many names (one
device, two dtypes with gradients, no second derivatives) are explained in [From PyTorch](from-pytorch.md).

Made by `python -m tests.test_generated` from `docs/draw_pytorch_names.py`.
"""

_RAISES = "raises RuntimeError: there is one device, the CPU"
_KEPT = "a dtype to keep numbers in; nothing is computed in it"
_INDEPENDENT = "draws from this library's stream: other numbers than PyTorch's"
DIFFERENCES = {
    "torch.Generator": "a stream of its own, on the CPU; `manual_seed` gives other numbers than PyTorch's",
    "torch.manual_seed": "decides all random numbers, which are others than PyTorch's",
    **dict.fromkeys([f"torch.{x}" for x in ("rand", "randn", "randint", "randperm", "normal")], _INDEPENDENT),
    **dict.fromkeys([f"torch.{x}" for x in ("bernoulli", "multinomial", "poisson")], _INDEPENDENT),
    "torch.backends": "switches that can be set and do nothing: results are always deterministic",
    "torch.compile": "gives back what it gets: kernels are compiled when they are first used",
    "torch.cuda": "`is_available()` is False, `device_count()` 0; all else raises",
    "torch.device": "`cpu`; others raise RuntimeError",
    "torch.from_dlpack": "arrays of other libraries on the CPU, without a copy",
    "torch.float16": _KEPT,
    "torch.half": _KEPT,
    "torch.jit": "`script` and `trace` give back what they get",
    "torch.load": "what `save` wrote, any safetensors file, and PyTorch's zip files of tensors and plain containers; "
    "nothing is unpickled",
    "torch.save": "safetensors with the structure in the header, whatever the file's name; no pickles",
    "torch.set_default_dtype": "float32 or float64",
    "torch.set_num_threads": "of the kernels; results have the same bits for any number",
    "torch.Tensor.backward": "`create_graph=True` raises: there are no second derivatives",
    "torch.Tensor.cuda": _RAISES,
    "torch.Tensor.half": "raises RuntimeError; `x.to(fastnn.float16)` gives numbers to keep",
    "torch.Tensor.data": "a view; writing into it counts as writing into its owner",
    "torch.Tensor.data_ptr": "of the array in main memory",
    "torch.Tensor.numpy": "works for tensors that require a gradient, too; read-only for parameters",
    "torch.Tensor.unique": "always sorted",
    "torch.Tensor.requires_grad": "for float32 and float64",
    "torch.Tensor.type": "without an argument it gives `fastnn.FloatTensor` and the like",
    "torch.Tensor.__setitem__": "gives a recorded result a new array: its earlier views keep the old numbers",
    "torch.sign": "of NaN is NaN (PyTorch: 0)",
    "torch.heaviside": "of NaN is NaN (PyTorch: 0)",
    "torch.maximum": "no gradient where one operand is NaN",
    "torch.minimum": "no gradient where one operand is NaN",
    "torch.amax": "equal elements share the gradient; of NaN the NaN elements get it",
    "torch.amin": "equal elements share the gradient; of NaN the NaN elements get it",
    "torch.logaddexp": "of two equal infinities has slope 0.5 (PyTorch: NaN)",
    "torch.floor_divide": "has a gradient, of zeros",
    "torch.norm": "p=0 has no gradient",
    "torch.cdist": "always from differences: `compute_mode` is ignored",
    "torch.ctc_loss": "the gradient is the derivative for any `log_probs`, not only for log-softmax",
    "torch.scatter_reduce": "with `include_self=False` the input does not share ties of amax and amin",
    "torch.index_reduce": "with `include_self=False` the input does not share ties of amax and amin",
    "torch.cosine_similarity": "below `eps` the gradient is that of max(norm, eps)",
    "torch.tensordot": "lengths of 1 are not broadcast",
    "torch.sort": "always stable",
    "torch.argsort": "always stable",
    "torch.topk": "always in order",
    "torch.gather": "`sparse_grad` is ignored",
    "torch.nn.functional.unfold": "of images; windows of any dimension are `Tensor.unfold`",
    "torch.nn.functional.linear_cross_entropy": "`options` is ignored",
    "torch.nn.Parameter": "copies its data",
    "torch.nn.utils.parametrize": "a parametrized layer is not fused",
    "torch.nn.DataParallel": "passes everything through: there is one device",
    "torch.nn.Embedding": "`sparse=True` changes nothing: gradients are dense",
    "torch.nn.functional.embedding": "`sparse=True` changes nothing: gradients are dense",
    "torch.nn.LinearCrossEntropyLoss": "without `out_features` and `options`",
    **dict.fromkeys([f"torch.nn.{x}" for x in ("Softmax", "LogSoftmax", "Softmin")], "`dim` is -1 if not given"),
    "torch.nn.SyncBatchNorm": "a batch norm: there is one process",
    "torch.nn.Module.load_state_dict": "changes nothing if anything does not fit; `assign` is ignored",
    "torch.nn.Module.register_full_backward_hook": "positional inputs are watched",
    "torch.nn.Module.state_dict": "copies, not the memory of the parameters: `keep_vars=True` gives these",
    "torch.nn.utils.clip_grad_norm_": "the norm as a Tensor; `fastnn.optim.clip_grad_norm_` gives a number",
    "torch.nn.utils.skip_init": "makes the layer, with weights that are drawn",
    "torch.optim.ASGD": "eta follows from the present rate, in PyTorch from that of the step before",
    "torch.optim.Muon": "computes in the dtype of the parameters, not in bfloat16",
    "torch.optim.Optimizer": "takes no parameter twice; make it after `model.to(dtype)` and lazy layers' first run",
    "torch.optim.lr_scheduler.ChainedScheduler": "multiplies factors; with an `eta_min` rates differ",
    "torch.nn.Module.cuda": _RAISES,
    "torch.nn.Module.half": "raises RuntimeError: parameters are float32 or float64",
    "torch.nn.Module.bfloat16": "raises RuntimeError: parameters are float32 or float64",
    "torch.nn.Module.to": "float32, float64 or the CPU; make optimizers after changing the dtype",
    "torch.nn.Module.compile": "does nothing: kernels are compiled when they are first used",
    "torch.utils.data.DataLoader": "workers are threads unless `multiprocessing_context` is given; a tuple of arrays "
    "is cut in pairs, without collating",
    "torch.autograd.grad": "`create_graph=True` raises: there are no second derivatives",
    "torch.autograd.detect_anomaly": "a block without effect",
    "torch.autograd.set_detect_anomaly": "has no effect",
}


def found(section: str, name: str) -> bool:
    """Tell whether a name of PyTorch is here, in the same place."""
    try:
        attrgetter(name)(place(section))
    except (AttributeError, ModuleNotFoundError):
        return False
    return True


def place(section: str) -> Any:
    """Return the module or class here that stands for one of PyTorch's."""
    path = section.replace("torch", "fastnn", 1)
    if path in ("fastnn.Tensor", "fastnn.nn.Module"):
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)
    return import_module(path)


def page() -> str:
    """Return the page."""
    names, parts = json.loads((HERE / "pytorch_names.json").read_text()), [HEAD]
    known: set[str] = set()
    for section, listed in names.items():
        here = [name for name in listed if found(section, name)]
        missing = [name for name in listed if name not in here]
        rows = [(name, DIFFERENCES.get(f"{section}.{name}")) for name in here]
        known |= {f"{section}.{name}" for name in here}
        same = [f"`{name}`" for name, difference in rows if difference is None]
        parts.append(f"## {section}\n\n{len(here)} of {len(listed)} names are here.\n")
        if table := [f"| `{name}` | {difference} |" for name, difference in rows if difference]:
            parts.append("\n".join(["| PyTorch | here |", "|---|---|", *table]) + "\n")
        for title, group in (("Same name, same meaning", same), ("Not here", [f"`{name}`" for name in missing])):
            if group:
                text = f"{title}: {', '.join(group)}."
                parts.append(fill(text, 118, break_long_words=False, break_on_hyphens=False) + "\n")
    if stray := DIFFERENCES.keys() - known:
        raise ValueError(f"differences of names that are not here: {', '.join(sorted(stray))}")
    return "\n".join(parts)
