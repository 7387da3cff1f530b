"""Draw `architecture.svg` from the imports of the two packages: `python docs/draw_architecture.py`.

A box is a package or a module of the top level, a line the imports between two boxes; its width is how many modules
import. Floors are stacked so that every line points down, or to a box of the same floor.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = {"fastnn": ROOT / "fastnn", "fastnn_kernels": ROOT / "kernels" / "fastnn_kernels"}
FLOORS = [
    ("starts", ["fastnn.demo"]),
    ("trains", ["fastnn.train"]),
    ("layers", ["fastnn.nn", "fastnn.optim", "fastnn.data"]),
    ("gradients", ["fastnn.functional"]),
    ("the tape", ["fastnn.tape"]),
    ("WHAT", ["fastnn_kernels.families"]),
    ("HOW", ["fastnn_kernels.cpu", "fastnn_kernels.reference"]),
    ("formulas", ["fastnn_kernels.formulas"]),
    ("mathematics", ["fastnn_kernels.cpu.math"]),
    ("vectors", ["fastnn_kernels.cpu.vector"]),
    ("ground", ["fastnn_kernels.ground"]),
]
WIDTH, LEFT, BOX, STEP = 1000, 120, 46, 92


def modules():
    """Yield (name, path) of every module."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(part for part in parts if part != "__init__"))), path


MODULES = dict(modules())


def room(module: str) -> str | None:
    """Return the box that a module belongs to; None for those that only put names together."""
    boxes = [box for _, floor in FLOORS for box in floor]
    found = [box for box in boxes if (module + ".").startswith(box + ".")]
    if found:
        return max(found, key=len)
    if module.startswith("fastnn_kernels."):
        return "fastnn_kernels.families"
    if module in ("fastnn.__main__", "fastnn._version", "fastnn._config", "fastnn._checks"):
        return None
    return "fastnn.tape" if module.startswith("fastnn._") else None


def imported(module: str, path: Path):
    """Yield the modules of the two packages that a module imports."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join((*above, base)).rstrip(".")
            for alias in node.names:
                below = f"{base}.{alias.name}"
                target = below if below in MODULES else base
                if base == "fastnn_kernels" and target == base and not node.level:
                    target = "fastnn_kernels.families"
                yield target
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in MODULES:
                    yield "fastnn_kernels.families" if alias.name == "fastnn_kernels" else alias.name


def drawing() -> str:
    """Return the picture as SVG."""
    members: dict[str, set[str]] = {}
    arrows: Counter[tuple[str, str]] = Counter()
    for module, path in MODULES.items():
        here = room(module)
        if here is None:
            continue
        prefix = {"fastnn_kernels.families": "fastnn_kernels.", "fastnn.tape": "fastnn."}.get(here, f"{here}.")
        name = module.removeprefix(prefix).partition(".")[0].strip("_")
        if module.startswith(prefix) and name and not module.endswith("__main__"):
            members.setdefault(here, set()).add(name)
        for there in {room(target) for target in imported(module, path)} - {None, here}:
            arrows[here, there] += 1
    centres, lines = {}, []
    for number, (label, boxes) in enumerate(FLOORS):
        top, width = 20 + number * STEP, (WIDTH - LEFT - 20 * len(boxes)) / len(boxes)
        lines.append(f'<text x="10" y="{top + BOX / 2 + 5}" class="floor">{label}</text>')
        for place, box in enumerate(boxes):
            left = LEFT + place * (width + 20)
            centres[box] = left + width / 2, top
            names = ", ".join(sorted(members.get(box, ())))
            limit = int(width / 5.6)
            shown = names if len(names) <= limit else names[: names.rfind(",", 0, limit - 4)] + ", ..."
            title = "fastnn_kernels: families" if box == "fastnn_kernels.families" else box
            lines.append(f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{BOX}" rx="6"/>')
            lines.append(f'<text x="{left + 10:.0f}" y="{top + 19}" class="name">{title}</text>')
            lines.append(f'<text x="{left + 10:.0f}" y="{top + 37}">{shown}</text>')
    paths = []
    for (here, there), count in sorted(arrows.items()):
        (x, y), (u, v) = centres[here], centres[there]
        spread = 60 * (sorted(centres).index(there) - len(centres) / 2) / len(centres)
        start, end = (y + BOX, v) if v > y else (y + BOX / 2, v + BOX / 2)
        colour = "#b33" if v < y else "#789"
        middle = (start + end) / 2
        paths.append(
            f'<path d="M{x + spread:.0f} {start:.0f} C{x + spread:.0f} {middle:.0f} {u + spread:.0f} {middle:.0f} '
            f'{u + spread:.0f} {end:.0f}" stroke="{colour}" stroke-width="{1 + min(count, 40) / 8:.1f}"/>'
        )
    style = (
        "text{font:11px sans-serif;fill:#333}.name{font-weight:bold;font-size:13px}.floor{fill:#888;font-size:12px}"
        "rect{fill:#eef3f7;stroke:#678}path{fill:none;opacity:.45}"
    )
    height = 20 + len(FLOORS) * STEP
    body = "\n".join([*paths, *lines])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        f'<style>{style}</style>\n<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    (Path(__file__).parent / "architecture.svg").write_text(drawing())
