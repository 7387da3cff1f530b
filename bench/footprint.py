"""What a library costs before it computes: megabytes on disk, seconds to import, memory. `python -m bench.footprint`.

Each is imported in processes of its own, eleven times, of which the fastest counts; the memory is what such a process
holds after an import, and after 200 training steps of a small perceptron (compiled before).
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

STEP = """
import time
start = time.perf_counter()
{imports}
seconds = time.perf_counter() - start
held = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024
imported = held()
import numpy as np
{threads}
model = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
optimizer = optim.SGD(model.parameters(), lr=0.01)
x = {tensor}(np.random.default_rng(0).standard_normal((32, 784)).astype(np.float32))
y = {tensor}(np.arange(32) % 10)
best = 1.0
for _ in range(200):
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    best = min(best, time.perf_counter() - start)
assert np.isfinite(float(loss))
print(seconds, imported, held(), best)
"""
LIBRARIES = {
    "fastnn": (
        ("numba", "llvmlite", "numpy", "tqdm", "safetensors"),
        {
            "imports": "import fastnn\nfrom fastnn import nn, optim, functional as F",
            "threads": "fastnn.set_num_threads(1)",
            "tensor": "fastnn.Tensor",
        },
    ),
    "PyTorch": (
        (
            "torch",
            *"numpy sympy networkx jinja2 fsspec mpmath filelock typing-extensions markupsafe setuptools".split(),
        ),
        {
            "imports": "import torch\nfrom torch import nn, optim\nimport torch.nn.functional as F",
            "threads": "torch.set_num_threads(1)",
            "tensor": "torch.from_numpy",
        },
    ),
}


def megabytes(distribution: str) -> float:
    """Return what the files of an installed distribution take, 0 where it is not installed."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return 0.0
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).exists()) / 2**20


def own() -> float:
    """Return what fastnn itself takes, without compiled files."""
    root = Path(__file__).parents[1]
    files = [path for part in ("fastnn", "kernels/fastnn_kernels") for path in (root / part).rglob("*")]
    return sum(path.stat().st_size for path in files if path.is_file() and "__pycache__" not in path.parts) / 2**20


def measure(code: str, turns: int = 11) -> list[float]:
    """Return the smallest of each figure that a program prints."""
    lines = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(turns)
    ]
    return [min(column) for column in zip(*([float(x) for x in line.split()] for line in lines), strict=True)]


def picture(rows: dict[str, list[float]], path: str) -> None:
    """Draw a panel per figure, a bar per library."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 4, figsize=(10, 1.7), layout="constrained")
    titles = "on disk, MB", "import, s", "memory after training, MB", "training step, us"
    for panel, title, column in zip(panels, titles, (0, 1, 3, 4), strict=True):
        figures = [row[column] for row in rows.values()]
        bars = panel.barh(list(rows), figures, color=["#2a7f62", "#b8bec6"])
        panel.bar_label(bars, [f"{x:.2f}" if column == 1 else f"{x:.0f}" for x in figures], padding=3)
        panel.set(title=title, xlim=(0, 1.25 * max(figures)), xticks=[])
        panel.invert_yaxis()
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the table; given the name of a file, draw it."""
    with open("/proc/cpuinfo") as file:
        cpu = re.search(r"model name\s*:\s*(.*)", file.read())
    print(cpu[1] if cpu else "unknown CPU")
    print("|  | on disk, with all it needs | import | memory after import | after training | a training step |")
    print("|---|---:|---:|---:|---:|---:|")
    rows = {}
    for name, (distributions, words) in LIBRARIES.items():
        size = sum(map(megabytes, distributions)) + (own() if name == "fastnn" else 0)
        measure(STEP.format(**words), 1)  # compiles
        seconds, imported, trained, step = measure(STEP.format(**words))
        print(
            f"| {name} | {size:.0f} MB | {seconds:.2f} s | {imported:.0f} MB | {trained:.0f} MB | {step * 1e6:.0f} us |"
        )
        rows[name] = [size, seconds, imported, trained, step * 1e6]
    if len(sys.argv) > 1:
        picture(rows, sys.argv[1])


if __name__ == "__main__":
    main()
