"""The code of the README and of the pages in docs/ runs as it stands, and their links and commands hold."""

import re
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_code_runs(block, tmp_path):
    fastnn.manual_seed(0)
    file = tmp_path / "block.py"  # kernels are compiled from files
    file.write_text(block)
    exec(compile(block, str(file), "exec"), {"__name__": "page"})


def test_the_network_takes_ten_lines():
    code = [line for line in BLOCKS[0].values[0].splitlines() if line and not line.startswith("assert")]
    assert len(code) <= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^    make (\w+)", page.read_text(), re.MULTILINE)) <= targets
