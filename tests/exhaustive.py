"""The largest errors of elementwise functions, in units in the last place: ``make exhaustive ARGS="gelu tanh"``.

float32 over all 2^32 arguments, against the float64 kernel rounded to nothing; float64 over random arguments against
50 digits. They belong into `fastnn_kernels/formulas`, `activation.py` and `mathematics.py`; a larger one than stated
makes this exit with 1.
"""

import argparse
import sys

import numpy as np
from tqdm import tqdm

import fastnn_kernels as kernels
from fastnn_kernels.formulas import activation, mathematics
from tests.kernels import test_activation, test_mathematics
from tests.reference import activation as reference
from tests.reference.arithmetic import MATHEMATICS

PART = 1 << 22
FORMULAS = {**activation.FORMULAS, **mathematics.FORMULAS}


def forward(name):
    """Return the entry point of a function, with parameters."""
    return getattr(kernels, name) if name in mathematics.FORMULAS else test_activation.forward(name)


def parameters(name):
    """Return the parameters that a function is measured with."""
    return () if name in mathematics.FORMULAS else test_activation.parameters(name)


def float32_error(name: str, step: int = 1) -> tuple[float, np.float32]:
    """Return the largest error over all float32 arguments, and where it is."""
    run, worst, where = forward(name), 0.0, np.float32(0)
    exact = [np.float64(np.float32(p)) for p in parameters(name)]
    for first in tqdm(range(0, 1 << 32, PART * step), name, leave=False):
        bits = np.arange(first, min(first + PART * step, 1 << 32), step, dtype=np.uint64)
        x = bits.astype(np.uint32).view(np.float32)
        x = x[np.isfinite(x)]
        if not x.size:
            continue
        y = run(x)
        wide = x.astype(np.float64)
        expected = run(wide) if not exact else run.func(run.args[0], exact, wide)
        with np.errstate(over="ignore"):
            nearest = expected.astype(np.float32)
        known = np.isfinite(nearest)
        y = np.where(np.isinf(y), np.copysign(np.float64(2.0**128), y), y)  # what follows the largest
        ulp = np.spacing(np.minimum(np.abs(nearest[known]), np.float32(2.0**127)))  # the largest one's is the same
        error = np.abs(y[known] - expected[known]) / ulp
        if np.isnan(error).any():
            return np.inf, x[known][np.isnan(error)][0]
        if error.size and error.max() > worst:
            worst, where = float(error.max()), x[known][error.argmax()]
    return worst, where


def float64_error(name: str, count: int) -> tuple[float, np.float64]:
    """Return the largest error over random float64 arguments, and where it is."""
    _, low, high = {**reference.TABLE, **MATHEMATICS}[name]
    rng = np.random.default_rng()
    if low > 0:
        x = np.exp(rng.uniform(np.log(low), np.log(high), count))
    else:
        x = rng.choice([-1, 1], count) * 10.0 ** rng.uniform(-8, np.log10(max(-low, high)), count)
        x[::2] = rng.uniform(-4, 4, x[::2].size)
    x = np.clip(x, low, high)
    exact = test_mathematics.exact if name in MATHEMATICS else reference.evaluate
    error = reference.errors(forward(name)(x), exact(name, x, *[parameters(name)] * (name not in MATHEMATICS)))
    return float(error.max()), x[error.argmax()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(FORMULAS), metavar="NAME", help="functions (all of them)")
    parser.add_argument("--step", type=int, default=1, help="take every STEPth float32 only")
    parser.add_argument("--count", type=int, default=20_000, help="how many float64 arguments")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(FORMULAS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FORMULAS)}")
    too_large = 0
    for name in arguments.names:
        single, at = float32_error(name, arguments.step)
        double, there = float64_error(name, arguments.count)
        stated = FORMULAS[name].ulp
        note = "" if single <= stated[0] and double <= stated[1] else f"  more than the stated {stated}"
        too_large += bool(note)
        print(f"{name:12s} float32 {single:.3f} at {at:.9g}, float64 {double:.3f} at {there:.17g}{note}", flush=True)
    return too_large > 0


if __name__ == "__main__":
    sys.exit(main())
