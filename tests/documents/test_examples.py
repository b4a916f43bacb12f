"""The cookbook shows the examples as they are, which `tests/examples` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.pages import ROOT, blocks_in

EXAMPLES = sorted((ROOT / "deploy" / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_cookbook_shows(example: Path) -> None:
    assert example.read_text() in [block.text for block in blocks_in("python") if block.page == "docs/cookbook.md"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_run(example: Path) -> None:
    assert (ROOT / "tests" / "examples" / f"test_{example.stem}.py").is_file()
