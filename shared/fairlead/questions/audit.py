"""The audit trail: who was asked, who decided what, whom an administrator sent away, whose tokens were revoked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from fairlead.streams.entries import Fields

if TYPE_CHECKING:
    from fairlead.names import Names
    from fairlead.redis.connection import Command

KEPT: Final = 10_000
"""Entries that are kept."""


class Record(NamedTuple):
    """One entry of the trail."""

    event: str
    """``requested``, ``answered`` …; ``disconnected``."""
    by: str
    """Who did it; empty where nobody did, and time was up for instance."""
    facts: dict[str, str]
    """What else was written down; what is empty is left out."""


def written(names: Names, event: str, facts: Mapping[str, str]) -> Command:
    """The command that writes down that *event* has happened; ``by`` among the *facts* says who is behind it."""
    flat = [item for pair in facts.items() for item in pair]
    return ("XADD", names.audit, "MAXLEN", "~", KEPT, "*", "event", event, *flat)


def record(fields: Fields) -> Record | None:
    """What was written; None for an entry that is none of ours."""
    facts = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items() if value}
    event = facts.pop("event", "")
    return Record(event, facts.pop("by", ""), facts) if event else None
