"""Write down what PyTorch's schedules and L-BFGS give, for where it is not installed: python -m tests.optim.record."""

import json
import warnings
from pathlib import Path

FILE = Path(__file__).parent / "pytorch.json"
EVERY = 6  # steps of which the rates are kept


def rates(torch):
    """Give rates and momenta over 100 steps of every schedule, of SGD."""
    from tests.optim.test_lr_scheduler import TABLE, figures_of, follow, theirs

    made = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in TABLE.items():
            schedule = make(torch.optim.lr_scheduler, theirs(torch, "SGD", momentum=0.9))
            made[name] = follow(schedule, 100, figures_of(name))[::EVERY]
    return made


def paths(torch):
    """Give the losses of L-BFGS before each call of `step`, and where it ends."""
    from tests.optim.test_lbfgs import OPTIONS, path_of

    return {name: path_of(torch.optim.LBFGS, name, torch.tensor, torch.nn.Parameter) for name in OPTIONS}


if __name__ == "__main__":
    import torch

    made = {"version": torch.__version__, "schedules": rates(torch), "lbfgs": paths(torch)}
    FILE.write_text(json.dumps(made, indent=None, separators=(",", ":")).replace("]],", "]],\n") + "\n")
