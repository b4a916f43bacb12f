"""The repository itself: contracts, versions, and what must not be in it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.version import __version__

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = ("shared", "gateway")

# In pieces, or this file would find itself.
LEAKS = {
    "a path of somebody's machine": re.compile(r"/(?:home|Users)/[a-z]|/root/\."),
    "a folder of the workshop": re.compile("/wor" + r"k/(?:main|shared)\b"),
    "how it was made": re.compile(
        r"\b(?:as an " + r"AI|language " + r"model|chat" + r"gpt|co-authored" + r"-by)\b", re.IGNORECASE
    ),
    "an unfinished piece": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b"),
}


def belongings() -> Iterator[Path]:
    """Files that belong to the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file():
            yield path


def is_text(path: Path) -> bool:
    return b"\0" not in path.read_bytes()[:1024]


def files() -> Iterator[Path]:
    """Those of them that are text."""
    return filter(is_text, belongings())


def modules() -> list[Path]:
    return [path for folder in SOURCES for path in sorted((ROOT / folder).rglob("*.py"))]


def test_imports_run_downhill() -> None:
    verdict = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert verdict.returncode == 0, verdict.stdout[-3000:]


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_the_changelog_tells_of_this_version_or_of_what_will_be_in_it() -> None:
    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]

    assert headings[0] in ("Unreleased", __version__)
    assert released == sorted(set(released), key=number, reverse=True)
    assert all(number(version) <= number(__version__) for version in released)


@pytest.mark.parametrize("what", LEAKS)
def test_no_file_holds(what: str) -> None:
    places = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in files()
        if (found := LEAKS[what].search(path.read_text(errors="replace")))
    ]

    assert places == []


def test_all_of_it_is_text() -> None:
    """What tools download or make lands beside the sources, and is then cloned by everybody for ever."""
    assert [str(path.relative_to(ROOT)) for path in belongings() if not is_text(path)] == []


def test_every_module_says_in_its_first_line_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_modules_are_of_a_size_that_is_read() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}

    assert {name: length for name, length in lengths.items() if length > 500} == {}


def test_no_module_is_called_utils() -> None:
    names = {path.stem for path in modules()}

    assert not names & {"util", "utils", "helper", "helpers", "misc", "common"}


def test_what_backends_install_is_light() -> None:
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in PYPROJECT["project"]["dependencies"]}

    assert names == {"redis", "msgpack", "pydantic", "tenacity"}
