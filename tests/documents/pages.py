"""The pages that people read, taken apart: headings, links, tables, and fenced blocks with the comments above them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

PAGES = (
    "README.md",
    "SECURITY.md",
    "docs/clients.md",
    "docs/comparison.md",
    "docs/cookbook.md",
    "docs/operations.md",
    "docs/protocol.md",
    "gateway/fairlead_gateway/static/client/README.md",
)

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    note: str
    """What the comment right above it says: how it is run, or what it is."""
    text: str

    @property
    def place(self) -> str:
        """Where it is, as editors understand it, and what it is called in the output of a test."""
        return f"{self.page}:{self.line}"


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every page."""
    return tuple(
        Block(page, text.count("\n", 0, found.start("text")), found["language"], found["note"] or "", found["text"])
        for page in PAGES
        for text in [text_of(page)]
        for found in _BLOCK.finditer(text)
    )


def blocks_in(*languages: str) -> list[Block]:
    return [block for block in blocks() if block.language in languages]


def prose(page: str) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", text_of(page))


def spans(page: str) -> list[str]:
    """What stands between backquotes in the prose of a page."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{plain}-{found.count(plain)}" if plain in found else plain)
    return set(found)


def links(page: str) -> Iterator[str]:
    yield from _LINK.findall(prose(page))


def rows(first_columns: str) -> set[tuple[str, ...]]:
    """Rows of the one table, on whatever page, whose header begins with *first_columns*; without that header."""
    mark = f"\n| {first_columns} |"
    (page,) = [page for page in PAGES if mark in text_of(page)]
    table = text_of(page).split(mark, 1)[1].split("\n\n", 1)[0]
    lines = [line for line in table.splitlines()[2:] if line.startswith("|")]
    return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines}


def names(cells: set[str]) -> set[str]:
    """What stands between backquotes in *cells*."""
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
