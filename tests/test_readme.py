"""The README's code runs as it stands, and its promises about files hold."""

import re
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_code_runs(number):
    fastnn.manual_seed(0)
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {})


def test_the_network_takes_ten_lines():
    lines = [line for line in BLOCKS[0].splitlines() if line and not line.startswith(("assert", " ", "from"))]
    assert len(BLOCKS[0].strip().splitlines()) <= 14 and len(lines) <= 10


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_commands_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^    make (\w+)", README, re.MULTILINE)) <= targets
