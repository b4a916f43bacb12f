"""The commands that people are told to type exist, and do what the table of targets says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from fairlead_gateway.cli.commands import app
from tests.documents.pages import PAGES, rows

ROOT = Path(__file__).parents[2]
TOLD = (*PAGES, "docker-compose.yml")
CALL = re.compile(r"(?<![\w/.-])fairlead ((?:[a-z]+(?: (?=[a-z]))?)+)")


def commands() -> dict[str, set[str]]:
    """Every command, and its subcommands."""
    group = typer.main.get_command(app)
    return {name: set(getattr(command, "commands", {})) for name, command in getattr(group, "commands").items()}  # noqa: B009


def code(text: str) -> list[str]:
    """Lines of fenced blocks and spans between backquotes; the whole of what is no Markdown."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line for block in blocks for line in block.splitlines()] + spans


def told(name: str) -> list[list[str]]:
    """Words after ``fairlead`` wherever it is called in a file."""
    text = (ROOT / name).read_text()
    lines = code(text) if name.endswith(".md") else text.splitlines()
    return [found.split() for line in lines for found in CALL.findall(line)]


def test_the_readme_tells_the_first_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    first = {words[0] for words in told("README.md")}

    assert {"send", "serve"} <= first
    assert {"make run", "make test"} <= {line.partition("#")[0].strip() for line in code(readme)}


@pytest.mark.parametrize("name", TOLD)
def test_every_command_that_is_told_exists(name: str) -> None:
    known = commands()

    for first, *rest in told(name):
        assert first in known, f"fairlead {first}"
        if known[first] and rest:
            assert rest[0] in known[first], f"fairlead {first} {rest[0]}"


def test_every_command_is_a_row_of_the_readme() -> None:
    calls = [call for row in rows("command") for call in re.findall(r"`(?:fairlead )?([^`]+)`", row[0])]
    told = {word for call in calls for word in call.split() if word.isalpha() and word.islower()}
    known = commands()

    assert set(known) | {sub for subs in known.values() for sub in subs} - set(known["bench"]) == told


def dry_run(target: str) -> str:
    said = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return said.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "steps"),
    [
        ("run", ["-m venv", "--editable '.[dev]'", "fairlead dev"]),
        ("test", ["-m venv", "--editable '.[test]'", "ruff check", "mypy", "lint-imports", "-m pytest"]),
        ("faults", ["--editable '.[test]'", "-m tests.faults"]),
        ("lint", ["--editable '.[test]'", "ruff check", "ruff format --check", "mypy", "lint-imports"]),
    ],
)
def test_make_does_what_it_says_in_this_order(target: str, steps: list[str]) -> None:
    said = dry_run(target)

    places = [said.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)
    assert "sudo" not in said and "docker" not in said


def test_ci_installs_what_tests_drive_and_forbids_skipping() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True, timeout=30)
    assert "set -euo pipefail" in script
    assert "FAIRLEAD_REQUIRE_ALL=1 make test" in script
    (packages,) = re.findall(r"PACKAGES=\((.*?)\)", script, re.DOTALL)
    assert {"redis-server", "redis-sentinel", "nginx", "libnginx-mod-nchan", "chromium", "openssh-server"} <= set(
        shlex.split(packages)
    )
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
