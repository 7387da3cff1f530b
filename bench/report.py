"""Turn a result file into tables and pictures: `python -m bench.report RESULT.json docs/`.

All figures are the best of all turns, for fastnn, its peers and the machine's limits alike: on a shared machine the
second core comes and goes, and medians are chance then. The JSON has both.
"""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path

PEERS = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "jax": "JAX",
    "onnxruntime": "ONNX Runtime",
    "sklearn": "scikit-learn",
}
PREPACKED = {"onnxruntime"}  # compared with fastnn's prepacked weights where there are any
COLOURS = {
    "fastnn": "#c2410c", "fastnn prepared": "#fb923c", "numpy": "#4d77cf", "torch": "#7c3aed", "jax": "#0f766e",
    "onnxruntime": "#6b7280", "sklearn": "#ca8a04",
}  # fmt: skip
NOTE = (
    "Ratios say how many times faster fastnn is (best of all turns on both sides); **bold: slower than the peer**. "
    "Each peer ran in a process of its own with the same number of threads, taking turns, in its best layout; "
    "its fastest variant counts. Results were verified before they were timed. "
    "`limit` is the share of what this machine can do at best, measured in the same run: multiply-adds in registers, "
    "or reading as much memory."
)


def best_of(row: dict, library: str, figure: str = "best") -> float | None:
    """Return the seconds of a library's fastest variant, or None."""
    found = [v[figure] for name, v in row["times"].items() if name == library or name.startswith(f"{library} ")]
    return min(found, default=None)


def ours(row: dict, peer: str, figure: str = "best") -> float | None:
    """Return the seconds of the variant of fastnn that is compared with a peer."""
    names = ["fastnn"]
    if peer in PREPACKED:
        names = ["fastnn prepared", "fastnn"]
    return next((row["times"][name][figure] for name in names if name in row["times"]), None)


def ratio(row: dict, peer: str) -> float | None:
    """Return how many times faster than a peer fastnn is."""
    theirs, mine = best_of(row, peer), ours(row, peer)
    return theirs / mine if theirs and mine else None


def share(row: dict, name: str = "fastnn") -> float | None:
    """Return the share of the machine's limit that an implementation reached at best."""
    if not row["limit"] or name not in row["times"]:
        return None
    return row["work"] / row["times"][name]["best"] / row["limit"]


def missed(row: dict) -> list[str]:
    """Return the bars of a row that were not reached, in words."""
    found = []
    for bar, wanted in row["bars"].items():
        if bar.startswith("peak@"):
            reached = share(row) if bar == f"peak@{row['threads']}" else None
        elif bar == "seconds":
            mine = ours(row, "")
            reached, wanted = (1 / mine, 1 / wanted) if mine else (None, wanted)
        else:
            reached = ratio(row, bar)
        if reached is not None and reached < wanted:
            found.append(f"{bar} {reached:.3g} < {wanted:.3g}" if bar != "seconds" else f"{1e6 / reached:.2f} us")
    return found


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"


def _speed(row: dict, name: str) -> str:
    if name not in row["times"]:
        return row["failed"].get(name, "")[:40]
    best = row["times"][name]["best"]
    if row["unit"] == "flop":
        return f"{row['work'] / best / 1e9:.1f} GFLOP/s"
    if row["unit"] == "byte":
        return f"{row['work'] / best / 1e9:.1f} GB/s"
    return _seconds(best)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value >= 1 else f"**{value:.2f}**"


def line(row: dict) -> str:
    """Return one row for a person who watches the run."""
    dtype = "" if row["dtype"] == "float32" else f" {row['dtype']}"
    parts = [f"{row['group']:>12} {row['name'] + dtype:<26} {row['threads']}t  {_speed(row, 'fastnn'):>15}"]
    parts.append(f"{_percent(share(row)):>6}")
    if "fastnn prepared" in row["times"]:
        parts.append(f"prepared {_speed(row, 'fastnn prepared'):>14} {_percent(share(row, 'fastnn prepared')):>5}")
    parts += [f"{peer} {value:.2f}" for peer in PEERS if (value := ratio(row, peer)) is not None]
    parts += [f"{name}: {why}" for name, why in row["failed"].items()]
    below = missed(row)
    return "  ".join(parts) + (f"  [below: {'; '.join(below)}]" if below else "")


def table(result: dict) -> str:
    """Return Markdown tables, one per stem and number of threads."""
    lines = []
    rows = sorted(result["rows"], key=lambda row: (row["stem"], row["threads"]))
    for (stem, threads), found in groupby(rows, key=lambda row: (row["stem"], row["threads"])):
        found = list(found)
        peers = [peer for peer in PEERS if any(best_of(row, peer) for row in found)]
        prepared = any("fastnn prepared" in row["times"] for row in found)
        head = ["", "fastnn", "limit"] + ["prepared", "limit"] * prepared + [PEERS[peer] for peer in peers]
        lines += [f"### {stem}, {threads} thread{'s' * (threads > 1)}", ""]
        lines += ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
        for row in found:
            dtype = "" if row["dtype"] == "float32" else f" {row['dtype']}"
            cells = [f"{row['group']} {row['name']}{dtype}", _speed(row, "fastnn"), _percent(share(row))]
            if prepared:
                cells += [_speed(row, "fastnn prepared"), _percent(share(row, "fastnn prepared"))]
            cells += [_times(ratio(row, peer)) for peer in peers]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    below = [
        f"- {row['group']} {row['name']} {row['dtype']}, {row['threads']} thread(s): {'; '.join(missed(row))}"
        for row in rows
        if missed(row)
    ]
    if below:
        lines += ["Below the bars that the project has set itself:", "", *below, ""]
    return "\n".join(lines)


def document(result: dict, pictures: list[Path], folder: Path) -> str:
    """Return the whole page."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    peaks = {}
    for row in result["rows"]:
        if row["unit"] == "flop" and row["limit"]:
            peaks[row["threads"]] = max(row["limit"], peaks.get(row["threads"], 0))
    peaks = "; ".join(f"{limit / 1e9:.0f} GFLOP/s with {threads} thread(s)" for threads, limit in peaks.items())
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"{result['cpu']}, {result['cores']} cores, {result['date']}. float32 multiply-adds at best: {peaks}.",
            f"{versions}.",
            "",
            NOTE,
            "",
            "Made by `make bench` and `python -m bench.report`; never edited by hand.",
            "",
            *(f"![{picture.stem}]({picture.relative_to(folder).as_posix()})\n" for picture in pictures),
            table(result),
        ]
    )


def draw(result: dict, folder: Path) -> list[Path]:
    """Draw, per stem and number of threads, each library's speed relative to the machine's limit or to fastnn."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    rows = sorted(result["rows"], key=lambda row: (row["stem"], row["threads"]))
    for (stem, threads), group in groupby(rows, key=lambda row: (row["stem"], row["threads"])):
        found = [row for row in group if "fastnn" in row["times"]]
        names = [n for n in COLOURS if any(n in row["times"] or best_of(row, n) for row in found)]
        figure, axes = plt.subplots(figsize=(9, 0.8 + 0.34 * len(found)), layout="constrained")
        for position, row in enumerate(found):
            mine = row["times"]["fastnn"]["best"]
            dots = {}
            for name in names:
                exact = name.startswith("fastnn")
                seconds = row["times"].get(name, {}).get("best") if exact else best_of(row, name)
                if seconds:
                    dots[name] = mine / seconds
            axes.plot([min(dots.values()), max(dots.values())], [position] * 2, color="#e5e7eb", linewidth=5, zorder=1)
            for name, value in dots.items():
                marker = "D" if name.startswith("fastnn") else "o"
                axes.scatter(value, position, s=42, color=COLOURS[name], marker=marker, zorder=3)
        for name in names:
            label = PEERS.get(name, name)
            axes.scatter([], [], color=COLOURS[name], marker="D" if name.startswith("fastnn") else "o", label=label)
        axes.set_yticks(range(len(found)), [_label(row) for row in found], fontsize=8)
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.axvline(1, color=COLOURS["fastnn"], linewidth=1, zorder=2)
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [f"{t:g}x" for t in ticks])
        axes.minorticks_off()
        axes.set_xlabel("speed relative to fastnn (left of the line: slower)")
        figure.suptitle(f"{stem}, {threads} thread{'s' * (threads > 1)}", x=0.01, ha="left", fontweight="bold")
        figure.legend(ncols=len(names), loc="outside upper right", frameon=False, fontsize=8)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(left=False)
        made.append(folder / f"{stem}-{threads}.png")
        figure.savefig(made[-1], dpi=130)
        plt.close(figure)
    return made


def _label(row: dict) -> str:
    percent = _percent(share(row))
    speed = f"{_speed(row, 'fastnn')}{', ' + percent if percent else ''}"
    return f"{row['group']} {row['name']}{' f64' * (row['dtype'] == 'float64')}  ({speed})"


def main(argv=None) -> None:
    """Write benchmarks.md and its pictures."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("result", type=Path, nargs="+", help="files that `python -m bench` wrote, to be joined")
    parser.add_argument("folder", type=Path, help="where benchmarks.md goes")
    options = parser.parse_args(argv)
    results = [json.loads(path.read_text()) for path in options.result]
    result = results[0] | {"rows": [row for one in results for row in one["rows"]]}
    pictures = draw(result, options.folder / "benchmarks")
    page = options.folder / "benchmarks.md"
    page.write_text(document(result, pictures, options.folder))
    print(page)


if __name__ == "__main__":
    main()
