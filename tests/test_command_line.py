"""`python -m fastnn`: what a person types."""

import re
import subprocess
import sys

import pytest

import fastnn
from fastnn.__main__ import main


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", "fastnn", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_demo(tmp_path):
    """One epoch: the way of all parts, not the accuracy, which `make demo` reaches in more."""
    pytest.importorskip("matplotlib")
    done = run("demo", "--out", str(tmp_path / "demo"), "--epochs", "1")
    names = ["confusion_matrix.png", "filters.png", "learning_curves.png", "misread.png"]
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == names
    accuracy = float(re.search(r"Reads ([\d.]+)% of 1,000 digits", done.stdout)[1])
    assert accuracy > 75  # five seeds, and other vectors: 84.5 to 92.4
    for word in ("GFLOP/s", "matmul 1024 x 1024 x 1024", "conv 5 x 5", "sigmoid", "s in all"):
        assert word in done.stdout
    assert "epoch 1/1" in done.stderr


def test_config_and_version(capsys):
    assert main(["config"]) == 0
    assert fastnn.__version__ in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and fastnn.__version__ in capsys.readouterr().out


def test_no_command_shows_the_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2 and "demo" in capsys.readouterr().err
