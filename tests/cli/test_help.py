"""``--help`` of every command: what it does, a line to copy that works, and what the exit status means."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from fairlead_gateway.cli.commands import EXAMPLES, SUMMARIES, app
from fairlead_gateway.cli.output import MEANINGS, Status
from tests.cli.conftest import Fairlead

WITHOUT_JSON = {
    "serve": "its output is a log, which FAIRLEAD_LOG_FORMAT=json makes JSON",
}
"""Commands that do not answer, and what there is in place of ``--json``."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command and group, by the words that call it."""
    for name, command in group.commands.items():
        yield " ".join((*path, name)), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))
LEAVES = [name for name, command in ALL.items() if not hasattr(command, "commands")]


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("bench ")])
def test_help_has_an_example_and_the_statuses(name: str, fairlead: Fairlead) -> None:
    outcome = fairlead(*name.split(), "--help")

    words = " ".join(outcome.out.split())
    assert outcome.status == Status.OK
    assert EXAMPLES[name] in outcome.out
    assert all(f"{status.value} {meaning}" in words for status, meaning in MEANINGS.items())
    assert max(map(len, outcome.out.splitlines())) <= 80 + 2


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_calls_what_there_is(name: str) -> None:
    calls = re.findall(r"(?:^|&& |\| |\) )fairlead ((?:(?! && | \| | > ).)*)", EXAMPLES[name])
    assert calls

    for call in calls:
        words = shlex.split(call)
        path = [word for word in words[:2] if word in ALL or f"{words[0]} {word}" in ALL]
        command = ALL[" ".join(path)]
        command.make_context("fairlead", words[len(path) :])


def test_every_command_has_one_line_where_they_are_listed(fairlead: Fairlead) -> None:
    assert set(SUMMARIES) == {name for name in LEAVES if not name.startswith("bench ")}
    for group in ("", "token", "config"):
        told = fairlead(*group.split(), "--help").out
        for name, summary in SUMMARIES.items():
            if name.rpartition(" ")[0] == group:
                assert summary in told, f"{summary!r} is cut short"


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_answers_in_json(name: str) -> None:
    assert ("--json" in options(ALL[name])) != (name in WITHOUT_JSON)


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_the_documents_are_json_with_and_without_saying_so(name: str, fairlead: Fairlead) -> None:
    plain, said = fairlead(name), fairlead(name, "--json")

    assert plain.status == said.status == Status.OK
    assert plain.out == said.out
    assert json.loads(plain.out)[name].startswith("3.")
