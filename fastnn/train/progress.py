"""Telling a person how training goes: a live bar in terminals and notebooks, and a line per epoch everywhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

_FORMAT = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}, {rate_fmt}{postfix}"


def render(figures: Mapping[str, float]) -> str:
    """Write figures as text: shares in per cent, the rest with four digits.

    >>> render({"loss": 0.123456, "val_accuracy": 0.975})
    'loss 0.1235, val_accuracy 97.50%'
    """
    return ", ".join(
        f"{name} {value:.2%}" if is_share(name) else f"{name} {value:.4g}"
        for name, value in figures.items()
        if name != "seconds" and getattr(value, "ndim", 0) == 0
    )


def is_share(name: str) -> bool:
    """Say whether a figure is a share of 1, to be shown in per cent."""
    name = name.removeprefix("val_")
    shares = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc")
    return name.startswith(shares) or (name.startswith("top") and name[3:].isdigit())


class Progress:
    """Report on a run of `epochs` epochs of `samples` samples.

    Parameters
    ----------
    epochs, samples : int
        How much work there is; samples is None if the data does not say.
    done : int
        Epochs finished before this run began (it was resumed).
    show : bool or None
        None prints nothing; True a live bar if the standard error stream is a terminal, or in a notebook; False only
        lines.
    """

    interval = 0.1  # seconds between two updates of the bar: more would cost time, and no eye could follow

    def __init__(self, epochs: int, samples: int | None, done: int, show: bool | None) -> None:
        self.epochs, self.samples, self.show = epochs, samples, show
        self.bar: Any = None
        self.compiled, self.names = 0.0, 0  # seconds and kernels that the lines have told
        self.left_out = 0.0  # seconds that the bar has left out
        self.begun = time.perf_counter()
        self.start = 0, 0.0  # samples of the first batch of this epoch, and the seconds of it that were no compiling
        if show and (sys.stderr.isatty() or in_notebook()):
            self.bar = bar_class()(
                total=None if samples is None else epochs * samples,
                initial=done * (samples or 0),
                unit=" samples",
                unit_scale=True,
                bar_format=_FORMAT if samples is not None else None,
                mininterval=0,
                miniters=1,
                smoothing=0.1,
                leave=False,
                dynamic_ncols=True,
            )
            self._describe(done)
        self.seen = 0
        self.next_update = time.perf_counter() + self.interval if self.bar is not None else float("inf")

    def update(self, seen: int, figures: Mapping[str, float]) -> None:
        """Say that `seen` samples of this epoch are done. Call it when the clock has reached `next_update`."""
        self.bar.set_postfix_str(render(figures), refresh=False)
        self.bar.update(seen - self.seen)
        self.seen = seen
        self.next_update = time.perf_counter() + self.interval

    def compiling(self, name: str, first: bool) -> None:
        """Say that a kernel is being compiled."""
        if first:
            self.line("compiling the kernels that are needed here for the first time; they are kept for all later runs")
        if self.bar is not None:
            self.bar.set_postfix_str(f"compiling {name}")

    def forget_compiling(self, seconds: float) -> None:
        """Leave the seconds that compiling has taken so far out of the bar's rate."""
        delta, self.left_out = seconds - self.left_out, seconds
        if self.bar is not None and delta:
            self.bar.start_t += delta
            self.bar.last_print_t += delta

    def begin_epoch(self) -> None:
        """Note the time."""
        self.begun = time.perf_counter()

    def first_batch(self, samples: int, compiled: float) -> None:
        """Leave the first batch of a run out of its rate: much is found out and loaded then.

        compiled: the seconds that compiling has taken so far.
        """
        seconds = time.perf_counter() - self.begun
        self.start = samples, max(seconds - (compiled - self.compiled), 0.0)

    def end_epoch(
        self, epoch: int, seen: int, figures: Mapping[str, float], compiled: float = 0.0, names: int = 0
    ) -> None:
        """Leave a line with the figures of an epoch, and go on to the next.

        compiled, names: the seconds and kernels that have been compiled so far; they count for no rate.
        """
        if self.bar is not None:
            self.forget_compiling(compiled)
            self.bar.update(seen - self.seen)
            self._describe(epoch)
        self.seen = 0
        if self.show is not None:
            seconds, wait = figures["seconds"], compiled - self.compiled
            samples, start = self.start if self.start[0] < seen else (0, 0.0)
            rate = (seen - samples) / max(seconds - wait - start, 1e-9)
            new = names - self.names
            told = f" ({wait:.1f} s of it compiled {new} kernel{'s' * (new > 1)})" if new else ""
            width = len(str(self.epochs))
            self.line(
                f"epoch {epoch:{width}d}/{self.epochs}  {seconds:.2f} s{told}, {rate:,.0f} samples/s, {render(figures)}"
            )
        self.compiled, self.names, self.start = compiled, names, (0, 0.0)

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        if self.show is None:
            return
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()

    def _describe(self, finished: int) -> None:
        self.bar.set_description_str(f"epoch {min(finished + 1, self.epochs)}/{self.epochs}", refresh=False)


def _shell() -> Any:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def in_notebook() -> bool:
    """Say whether a notebook shows what is printed."""
    return hasattr(_shell(), "kernel")


def cell_number() -> int:
    """Give the number of the notebook's cell that runs; 0 outside of notebooks."""
    return int(getattr(_shell(), "execution_count", 0))


def bar_class() -> Any:
    """Give the bar for notebooks where its widgets are installed, else that for terminals, which works everywhere."""
    if in_notebook() and find_spec("ipywidgets"):
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm
