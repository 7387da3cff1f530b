"""Turn result files into a page, its pictures and the README's table: `python -m bench.report RESULT.json docs/`.

All figures are the best of all turns, for fastnn, its peers and the machine's limits alike: on a shared machine the
second core comes and goes, and medians are chance then. The JSON has both.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from itertools import groupby
from pathlib import Path

OURS = {"fastnn": "fastnn", "fastnn prepared": "fastnn, prepared weights"}
PEERS = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "torch prepacked": "PyTorch, prepacked",
    "jax": "JAX",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "ncnn": "ncnn",
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "memory": "from memory",
}
PREPACKED = {"torch prepacked", "onnxruntime", "openvino", "ncnn"}  # these meet fastnn's prepared weights
SLACK = 0.05  # how much slower than the fastest peer a row may be without being listed
MARKERS = ("<!-- measured: made by python -m bench.report, not by hand -->", "<!-- end of what was measured -->")
README = [  # (stem, threads, start of the row's title)
    ("training", 2, "step 784-16-16-10"),
    ("training", 2, "step conv32"),
    ("matmul", 2, "square 1024x1024x1024"),
    ("matmul", 1, "square 256x256x256"),
    ("matmul", 1, "square 64x64x64"),
    ("matmul", 1, "small batch 4x1024x1024"),
    ("matmul", 1, "batched 256 x (64, 64, 64)"),
    ("conv", 1, "3x3 ResNet 3x3 64-64 @56, batch 1"),
    ("conv", 2, "3x3 ResNet 3x3 256-256 @14, batch 32"),
    ("conv", 1, "large, strided ResNet 3x3 /2 128-256 @28, batch 1"),
    ("conv", 1, "1x1 ResNet 1x1 64-256 @56, batch 1"),
    ("conv", 1, "depthwise MobileNet-v2 3x3 144 @56, batch 1"),
    ("conv", 1, "few channels ResNet 7x7 /2 3-64 @224, batch 1"),
    ("conv", 2, "dweight ResNet 3x3 64-64 @56, batch 32"),
    ("pool", 1, "max forward ResNet 3x3 /2 64 @112, batch 32"),
    ("activation", 1, "tanh 10 k"),
]
NOTE = (
    "Ratios say how many times faster fastnn is (best of all turns on both sides); **bold: slower than the peer**. "
    "Each peer ran in a process of its own with the same number of threads, taking turns while the others were halted; "
    "of its memory layouts, and of fastnn's, the fastest counts. Peers that pack weights beforehand meet fastnn's "
    "prepared weights where there are any. Results were verified before they were timed. `limit` is the share of what "
    "this machine can do at best, measured in the same run: multiply-adds in registers, or reading (copying, "
    "updating in place) as much memory. "
    "Winograd's convolutions need fewer multiply-adds than are counted and may pass it."
)


def kind_of(name: str) -> str:
    """Return the key of OURS or PEERS that an implementation belongs to: "torch" for "torch channels_last"."""
    return max((key for key in (*OURS, *PEERS) if f"{name} ".startswith(f"{key} ")), key=len)


def best_of(row: dict, *kinds: str) -> float | None:
    """Return the seconds of the fastest implementation of some kinds, or None."""
    return min((times["best"] for name, times in row["times"].items() if kind_of(name) in kinds), default=None)


def ratio(row: dict, peer: str) -> float | None:
    """Return how many times faster than a peer fastnn is."""
    theirs, mine = best_of(row, peer), best_of(row, *(OURS if peer in PREPACKED else ["fastnn"]))
    return theirs / mine if theirs and mine else None


def rival(row: dict) -> tuple[float, str] | None:
    """Return the peer against which fastnn does worst in a row: (how many times faster fastnn is, its name)."""
    return min(((value, peer) for peer in PEERS if (value := ratio(row, peer)) is not None), default=None)


def share(row: dict, *kinds: str) -> float | None:
    """Return the share of the machine's limit that the fastest of some kinds (default: fastnn's) reached at best."""
    seconds = best_of(row, *(kinds or OURS))
    return row["work"] / seconds / row["limit"] if seconds and row["limit"] else None


def missed(row: dict) -> list[str]:
    """Return the bars of a row that were not reached, in words."""
    found = []
    for bar, wanted in row["bars"].items():
        name, _, threads = bar.partition("@")
        if threads not in ("", str(row["threads"])):
            continue
        if name == "peak":
            reached = share(row, "fastnn")
        elif name == "seconds":
            mine = best_of(row, "fastnn")
            reached, wanted = (1 / mine, 1 / wanted) if mine else (None, wanted)
        else:
            reached = ratio(row, name)
        if reached is not None and reached < wanted:
            seconds = f"{_seconds(1 / reached)} > {_seconds(1 / wanted)}" if name == "seconds" else ""
            found.append(seconds or f"{name} {reached:.3g} < {wanted:.3g}")
    return found


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"


def speed(row: dict, name: str) -> str:
    """Return an implementation's speed in words, or why there is none."""
    if name not in row["times"]:
        return row["failed"].get(name, "")[:40]
    best = row["times"][name]["best"]
    if row["unit"] == "flop":
        return f"{row['work'] / best / 1e9:.1f} GFLOP/s"
    if row["unit"] == "byte":
        return f"{row['work'] / best / 1e9:.1f} GB/s"
    return _seconds(best)


def percent(value: float | None) -> str:
    """Return a share in per cent, nothing for None."""
    return "" if value is None else f"{100 * value:.0f} %"


def title(row: dict) -> str:
    """Return a row's group, name and dtype, if that is not float32."""
    return f"{row['group']} {row['name']}" + f" {row['dtype']}" * (row["dtype"] != "float32")


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value >= 1 else f"**{value:.2f}**"


def _variants(rows) -> list[str]:
    """Return fastnn's implementations in the order in which they first appear."""
    names = dict.fromkeys(name for row in rows for name in (*row["times"], *row["failed"]))
    return [name for name in names if kind_of(name) in OURS]


def _plural(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def line(row: dict) -> str:
    """Return one row for a person who watches the run."""
    parts = [f"{title(row):<48} {row['threads']}t"]
    for name in _variants([row]):
        parts.append(f"{name.removeprefix('fastnn').strip()} {speed(row, name):>14}".strip())
    parts.append(f"{percent(share(row)):>5}")
    parts += [f"{peer} {value:.2f}" for peer in PEERS if (value := ratio(row, peer)) is not None]
    parts += [f"{name}: {why}" for name, why in row["failed"].items()]
    below = missed(row)
    return "  ".join(parts) + (f"  [below: {'; '.join(below)}]" if below else "")


def table(result: dict) -> str:
    """Return Markdown tables, one per stem and number of threads, and what is slower than it should be."""
    lines = []
    rows = sorted(result["rows"], key=lambda row: (row["stem"], row["threads"]))
    for (stem, threads), group in groupby(rows, key=lambda row: (row["stem"], row["threads"])):
        found = list(group)
        peers, variants = [peer for peer in PEERS if any(best_of(row, peer) for row in found)], _variants(found)
        head = ["", *(name.removeprefix("fastnn ") for name in variants), "limit", *(PEERS[peer] for peer in peers)]
        lines += [f"### {stem}, {_plural(threads)}", "", *_markdown(head)]
        for row in found:
            cells = [title(row), *(speed(row, name) for name in variants), percent(share(row))]
            lines += _markdown(cells + [_times(ratio(row, peer)) for peer in peers], head=False)
        lines.append("")
    return "\n".join(lines + _losses(rows))


def _markdown(cells, head=True):
    line = "| " + " | ".join(cells) + " |"
    return [line, "|---" + "|---:" * (len(cells) - 1) + "|"] if head else [line]


def _losses(rows) -> list[str]:
    """Return a line for each row that is slower than its fastest peer or misses one of its bars."""
    lines = []
    slow = [(*found, row) for row in rows if (found := rival(row)) and found[0] < 1 - SLACK]
    if slow:
        lines += [f"Slower than the fastest peer by more than {percent(SLACK)}, worst first:", ""]
        for value, peer, row in sorted(slow, key=lambda one: one[0]):
            lines.append(f"- {title(row)}, {_plural(row['threads'])}: {value:.2f} of {PEERS[peer]}'s speed")
        lines.append("")
    below = [f"- {title(row)}, {_plural(row['threads'])}: {'; '.join(missed(row))}" for row in rows if missed(row)]
    if below:
        lines += ["Below the bars that the project has set itself:", "", *below, ""]
    return lines


def document(result: dict, pictures: list[Path], folder: Path) -> str:
    """Return the whole page."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    peaks = {}
    for row in result["rows"]:
        if row["unit"] == "flop" and row["limit"]:
            peaks[row["threads"]] = max(row["limit"], peaks.get(row["threads"], 0))
    peaks = "; ".join(f"{limit / 1e9:.0f} GFLOP/s with {_plural(threads)}" for threads, limit in peaks.items())
    stems = sorted({row["stem"] for row in result["rows"]})
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"{result['cpu']}, {result['cores']} cores, {result['date']}. float32 multiply-adds at best: {peaks}.",
            f"{versions}.",
            "",
            NOTE,
            "",
            *(f"{stem}: {_about(stem)}\n" for stem in stems),
            "Made by `make bench` and `python -m bench.report`; never edited by hand.",
            "",
            *(f"![{picture.stem}]({picture.relative_to(folder).as_posix()})\n" for picture in pictures),
            table(result),
        ]
    )


def _about(stem: str) -> str:
    """Return what a benchmark module says about itself."""
    return " ".join((import_module(f"bench.bench_{stem}").__doc__ or "").split())


def readme(result: dict, text: str) -> str:
    """Return a README whose table of measurements, between its two markers, was made anew from a result."""
    start, end = text.index(MARKERS[0]) + len(MARKERS[0]), text.index(MARKERS[1])
    rows = []
    for stem, threads, name in README:
        found = [row for row in result["rows"] if (row["stem"], row["threads"]) == (stem, threads)]
        found = [row for row in found if title(row).startswith(name)]
        if not found:
            raise SystemExit(f"the README shows what was not measured: {stem} {name}, {_plural(threads)}")
        rows.append(found[0])
    peers = [peer for peer in PEERS if any(ratio(row, peer) for row in rows)]
    lines = _markdown(["", "threads", "fastnn", "of the limit", *(PEERS[peer] for peer in peers)])
    for row in rows:
        fastest = min((name for name in row["times"] if kind_of(name) in OURS), key=lambda n: row["times"][n]["best"])
        cells = [f"{row['stem']} {title(row)}", str(row["threads"]), speed(row, fastest), percent(share(row))]
        lines += _markdown(cells + [_times(ratio(row, peer)) for peer in peers], head=False)
    machine = f"{result['cpu']}, {result['cores']} cores, {result['date'][:10]}:"
    return "\n".join([text[:start], machine, "", *lines, "", text[end:]])


def joined(results: list[dict]) -> dict:
    """Return several results as one: of rows that stand in more than one, the best figures of each side."""
    rows: dict[tuple, dict] = {}
    for row in (row for result in results for row in result["rows"]):
        key = row["stem"], title(row), row["threads"]
        known = rows.setdefault(key, row)
        if known is not row:
            times = dict(known["times"])
            for name, found in row["times"].items():
                times[name] = min(found, times.get(name, found), key=lambda one: one["best"])
            failed = {name: why for name, why in known["failed"].items() if name in row["failed"]}
            limits = [limit for limit in (known["limit"], row["limit"]) if limit]
            rows[key] = {**row, "times": times, "failed": failed, "limit": max(limits, default=None)}
    return results[0] | {"rows": list(rows.values())}


def main(argv=None) -> None:
    """Write benchmarks.md, its pictures, and the table in the README."""
    from bench.pictures import draw

    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("result", type=Path, nargs="+", help="files that `python -m bench` wrote, to be joined")
    parser.add_argument("folder", type=Path, help="where benchmarks.md goes")
    parser.add_argument("--readme", type=Path, help="a README whose table of measurements to replace")
    options = parser.parse_args(argv)
    result = joined([json.loads(path.read_text()) for path in options.result])
    pictures = draw(result, options.folder / "benchmarks")
    page = options.folder / "benchmarks.md"
    page.write_text(document(result, pictures, options.folder))
    print(page)
    if options.readme:
        options.readme.write_text(readme(result, options.readme.read_text()))
        print(options.readme)


if __name__ == "__main__":
    main()
