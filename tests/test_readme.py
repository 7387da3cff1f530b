"""The code of the README and of the pages in docs/ runs as it stands, and their links and commands hold."""

import re
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_code_runs(page, tmp_path):
    """All of a page, one block after the other, as a reader would."""
    fastnn.manual_seed(0)
    names = {"__name__": "page"}
    for number, block in enumerate(blocks(page)):
        file = tmp_path / f"block{number}.py"  # kernels are compiled from files
        file.write_text(block)
        exec(compile(block, str(file), "exec"), names)


def test_the_network_takes_ten_lines():
    first = blocks(ROOT / "README.md")[0]
    code = [line for line in first.splitlines() if line and not line.startswith("assert")]
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


def test_the_first_picture_shows_the_figures_of_the_table_below_it():
    table = re.findall(r"^\| (?:fastnn|PyTorch 2[.\d]*) \|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    stated = {float(x) for row in table for x in re.findall(r"[\d.]+", row)}
    drawn = {float(x) for x in re.findall(r"<!-- ([\d.]+) -->", (ROOT / "docs" / "footprint.svg").read_text())}
    assert len(table) == 2 and stated == drawn
