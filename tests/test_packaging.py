"""The wheel and the source distribution: what is in them, and that they work where nothing else of this project is."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]
TRAIN = """
import sys
from pathlib import Path
import numpy as np
import fastnn
from fastnn import functional, nn, optim

for module in (fastnn, fastnn.kernels):
    assert Path(module.__file__).is_relative_to(sys.prefix), module.__file__
x, y = fastnn.data.mnist_5k()
x, y = x[::80], y[::80]
model = nn.Sequential(
    nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(676, 10)
)
optimizer = optim.SGD(model.parameters(), lr=0.05)
losses = []
for _ in range(2):
    loss = functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[1] < losses[0], losses
print("trained")
"""


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the source distribution, and from it the wheel, with the tools that are installed."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def test_wheel_holds_the_two_packages_and_no_more(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert built[0].name == f"fastnn_numba-{fastnn.__version__}-py3-none-any.whl"
    info = f"fastnn_numba-{fastnn.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"fastnn", "fastnn_kernels", info}
    assert f"{info}/licenses/LICENSE" in names
    for wanted in ("fastnn/py.typed", "fastnn_kernels/py.typed", "fastnn/data/mnist_5k.npz"):
        assert wanted in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".nbc", ".pyc"))]
    tracked = {"/".join(path.parts[-3:]) for path in (ROOT / "kernels").rglob("*.py")}
    assert len([name for name in names if name.startswith("fastnn_kernels/") and name.endswith(".py")]) == len(tracked)
    assert "License-Expression: MIT" in metadata
    for needed in ("numpy>=", "numba<0.69,>=", "tqdm>=", "safetensors>="):
        assert f"Requires-Dist: {needed}" in metadata


def test_source_distribution_can_be_worked_on(built):
    with tarfile.open(built[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    for wanted in ("Makefile", "README.md", "LICENSE", "pyproject.toml", "tests/conftest.py", "bench/harness.py"):
        assert wanted in names
    assert not [name for name in names if name.startswith((".venv", "demo/", "shared/")) or "__pycache__" in name]


def test_wheel_trains_in_a_fresh_environment(built, tmp_path):
    """Only the dependencies are shared with this environment: the project itself comes from the wheel."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", built[0])
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}
    assert run(python, "-W", "error", "-c", TRAIN, cwd=tmp_path, env=environment).strip() == "trained"
    assert fastnn.__version__ in run(scripts / "fastnn", "--version", cwd=tmp_path, env=environment)
