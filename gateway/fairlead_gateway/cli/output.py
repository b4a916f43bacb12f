"""How commands answer: facts on standard output, one line of trouble on standard error, and a number for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Annotated, Final

import typer

from fairlead_gateway.logs import printable

MAX_LINE: Final = 4096
"""Characters of one line on a terminal."""

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


class Status(IntEnum):
    """What the process ends with."""

    OK = 0
    NO = 1
    USAGE = 2
    CONFIGURATION = 3
    UNAVAILABLE = 4
    REFUSED = 5
    INTERRUPTED = 130


MEANINGS: Final = {
    Status.OK: "done",
    Status.NO: "done, and the answer is no (a token that is not valid, a wait that ran out, somebody who says stop)",
    Status.USAGE: "the command or its arguments are wrong",
    Status.CONFIGURATION: "the settings cannot be used, or are refused as unsafe",
    Status.UNAVAILABLE: "Redis or the gateway cannot be reached, or a port is taken",
    Status.REFUSED: "the gateway refused: token, permission or limit",
    Status.INTERRUPTED: "stopped by Ctrl-C",
}
"""What each exit status means; part of ``--help``."""


class Trouble(Exception):
    """A command cannot be done; ends as one line on standard error."""

    def __init__(self, message: str, status: Status) -> None:
        super().__init__(message)
        self.status = status


def say(text: str) -> None:
    """A line of the answer; control characters in it are escaped."""
    print(printable(text, MAX_LINE), flush=True)


def say_json(value: object) -> None:
    """The answer, or one item of it, as a line of JSON."""
    print(json.dumps(value, ensure_ascii=True, separators=(",", ":")), flush=True)


def note(text: str) -> None:
    """Something worth knowing that is not the answer."""
    print(f"fairlead: {printable(text, MAX_LINE)}", file=sys.stderr, flush=True)


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
    """*rows* in aligned *columns*."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in columns[:-1]]
    for row in rows:
        padded = (row[column].ljust(width) for column, width in zip(columns, widths, strict=False))
        say("  ".join((*padded, row[columns[-1]])).rstrip())
