"""Pictures of a result: bars up to the machine's limit, one picture per family of layers; dots relative to fastnn."""

from __future__ import annotations

import re
import textwrap
from itertools import groupby
from pathlib import Path

from bench.report import OURS, PEERS, best_of, percent, share, speed, title

COLOURS = {
    "fastnn": "#c2410c", "fastnn prepared": "#fb923c", "numpy": "#4d77cf", "torch": "#7c3aed",
    "torch prepacked": "#c4b5fd", "jax": "#0f766e", "onnxruntime": "#6b7280", "openvino": "#0ea5e9",
    "ncnn": "#65a30d", "sklearn": "#ca8a04", "scipy": "#be185d", "memory": "#111827",
}  # fmt: skip
WITH_BARS = ("conv", "pool")


def draw(result: dict, folder: Path) -> list[Path]:
    """Draw a result into files, and return them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    made = []

    def finish(figure, name, heading):
        figure.suptitle(heading, x=0.01, ha="left", fontweight="bold")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=4, loc="outside upper right", frameon=False, fontsize=8)
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
        made.append(folder / f"{name}.png")
        figure.savefig(made[-1], dpi=110)
        plt.close(figure)

    rows = [row for row in result["rows"] if best_of(row, *OURS)]
    for stem, found in _grouped(rows, lambda row: row["stem"]):
        if stem in WITH_BARS:
            for family, members in _grouped(found, lambda row: row["group"]):
                finish(_bars(plt, members), f"{stem}-{'-'.join(re.findall('[a-z0-9]+', family))}", f"{stem}: {family}")
        else:
            found = [row for row in found if row["short"]] or found
            for threads, members in _grouped(found, lambda row: row["threads"]):
                finish(_dots(plt, members), f"{stem}-{threads}", f"{stem}, {threads} thread{'s' * (threads > 1)}")
    return made


def _grouped(rows, key):
    return [(name, list(found)) for name, found in groupby(sorted(rows, key=key), key=key)]


def _kinds(rows):
    return [kind for kind in COLOURS if any(best_of(row, kind) for row in rows)]


def _bars(plt, rows):
    """Draw a panel per number of threads: each library's share of what the machine can do, layer by layer."""
    panels, kinds = _grouped(rows, lambda row: row["threads"]), _kinds(rows)
    count = max(len(members) for _, members in panels)
    size = max(7.0, 1 + count * max(0.9, 0.45 + 0.1 * len(kinds))), 1.9 + 2.6 * len(panels)
    figure, axes = plt.subplots(len(panels), 1, figsize=size, layout="constrained", squeeze=False, sharex=True)
    for panel, (threads, members) in zip(axes[:, 0], panels, strict=True):
        for number, kind in enumerate(kinds):
            heights = [100 * (share(row, kind) or 0) for row in members]
            width = 0.84 / len(kinds)
            places = [place + (number - (len(kinds) - 1) / 2) * width for place in range(len(members))]
            label = {**OURS, **PEERS}[kind]
            panel.bar(places, heights, 0.9 * width, color=COLOURS[kind], label=label)
        highest = max(100 * (share(row, kind) or 0) for row in members for kind in kinds)
        panel.set_ylim(0, max(100, 1.03 * highest))  # Winograd needs fewer operations than are counted
        panel.axhline(100, color="#111827", linewidth=1)
        panel.set_ylabel(f"{threads} thread{'s' * (threads > 1)}: % of the machine's limit", fontsize=8)
        panel.set_xlim(-0.6, len(members) - 0.4)
        panel.set_xticks(range(len(members)), [_folded(row["name"]) for row in members], fontsize=7)
        panel.tick_params(axis="x", length=0)
    return figure


def _folded(name):
    return textwrap.fill(name, 13, break_long_words=False, break_on_hyphens=False)


def _dots(plt, rows):
    """Draw each library's speed relative to fastnn."""
    kinds = _kinds(rows)
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.34 * len(rows)), layout="constrained")
    for position, row in enumerate(rows):
        mine = best_of(row, "fastnn")
        dots = {kind: mine / seconds for kind in kinds if mine and (seconds := best_of(row, kind))}
        if dots:
            axes.plot([min(dots.values()), max(dots.values())], [position] * 2, color="#e5e7eb", linewidth=5, zorder=1)
        for kind, value in dots.items():
            axes.scatter(value, position, s=42, color=COLOURS[kind], marker="D" if kind in OURS else "o", zorder=3)
    for kind in kinds:
        axes.scatter([], [], color=COLOURS[kind], marker="D" if kind in OURS else "o", label={**OURS, **PEERS}[kind])
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.axvline(1, color=COLOURS["fastnn"], linewidth=1, zorder=2)
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{t:g}x" for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("speed relative to fastnn (left of the line: slower)")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return figure


def _label(row: dict) -> str:
    """Return a row's name with fastnn's speed."""
    reached = percent(share(row, "fastnn"))
    return f"{title(row)}  ({speed(row, 'fastnn')}{', ' + reached if reached else ''})"
