"""``history`` and ``audit``: what was written down about connections and decisions, the latest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeVar

from pydantic import StringConstraints

from fairlead.errors import InvalidJson
from fairlead.format.codec import from_json, to_json
from fairlead.questions import audit
from fairlead.redis.query import Query
from fairlead.streams import history
from fairlead.streams.entries import LATEST, Fields, backwards, entries
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.route import Asked, Id, Moment, Nothing, Page, Paged, Rows, View, row

READ_AT_ONCE: Final = 500
"""Entries read in one command where few of them may be looked for."""

MOST_READ: Final = 5_000
"""Entries looked at for one page; a page of a user of whom there is little may be short, and have a cursor still."""

_END_OF_TIME_MS: Final = 253_402_300_799_000

Entry = TypeVar("Entry")

TrailCursor = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]{0,18}-[0-9]{1,19})?$")]
"""The last entry of the page before; an id that Redis could have given it."""


class PagedEntries(Paged):
    """One page of entries, the latest first."""

    cursor: TrailCursor = ""
    """That of the page before; empty for the first. A page may be short and the cursor lead on all the same."""


class OfUser(PagedEntries):
    """One page of entries, of one user or all."""

    user_id: Id = ""
    """Only those of this user."""


class PastConnection(View):
    """A connection that has ended (CON-10)."""

    connection_id: str
    user_id: str
    connected_at: Moment
    ended_at: Moment
    seconds: float
    """How long it lasted."""
    code: int
    """As in its close frame; 1006 when there was none."""
    reason: str
    replica: str
    address: str
    device_id: str


class Audited(View):
    """Something that somebody must answer for."""

    id: str
    at: Moment
    event: str
    """What was done: ``requested``, ``answered``, ``disconnected`` …"""
    by: str
    """Who did it; empty where it was nobody, as when time was up."""
    facts: dict[str, str]
    """What else was written down of it."""


async def list_history(asked: Asked[OfUser, Nothing]) -> Page[PastConnection]:
    """Connections that have ended, on all replicas, the latest first."""
    user_id = asked.params.user_id

    def read(id: str, fields: Fields) -> PastConnection | None:
        one = history.record(fields)
        if one is None or (user_id and one.user_id != user_id):
            return None
        return PastConnection.model_validate({**one._asdict(), "seconds": round(one.seconds, 3)})

    at_once = READ_AT_ONCE if user_id else asked.params.limit + 1
    return await _page(asked.api, asked.api.replica.names.connection_history, asked.params, read, at_once)


async def list_audit(asked: Asked[PagedEntries, Nothing]) -> Page[Audited]:
    """
    Who was asked and who answered, whom administrators disconnected, and the like; the latest first.

    What was written with an answer is told to operators alone.
    """

    def read(id: str, fields: Fields) -> Audited | None:
        one = audit.record(fields)
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=min(int(id.partition("-")[0]), _END_OF_TIME_MS))
        if one is None:
            return None
        facts = one.facts if asked.rank >= Rank.OPERATOR else _without_words(one.facts)
        return Audited(id=id, at=at, event=one.event, by=one.by, facts=facts)

    return await _page(asked.api, asked.api.replica.names.audit, asked.params, read, asked.params.limit + 1)


def _without_words(facts: Mapping[str, str]) -> dict[str, str]:
    """What viewers are told: how somebody decided, and not what was written with it (as `shown.Answer`)."""
    told = {name: value for name, value in facts.items() if name != "decision"}
    try:
        decision = from_json(facts.get("decision", ""))
    except InvalidJson:
        return told
    if isinstance(decision, dict):
        told["decision"] = to_json({name: decision.get(name) for name in ("proceed", "choice")}).decode()
    return told


async def _page(
    api: Api, stream: str, paged: PagedEntries, read: Callable[[str, Fields], Entry | None], at_once: int
) -> Page[Entry]:
    """The entries of *stream* that *read* makes something of, from the cursor back, *at_once* read in one command."""
    before = paged.cursor or LATEST
    items: list[Entry] = []
    looked_at = 0
    while before and looked_at < MOST_READ:
        command = tuple(map(str, backwards(stream, before, at_once)))
        found = await api.replica.lane.look(Query([command], lambda replies: entries(replies[0])))
        for entry in found:
            if len(items) == paged.limit:
                return Page(items=items, cursor=before)
            before = entry.id
            if (item := read(*entry)) is not None:
                items.append(item)
        looked_at += len(found)
        if len(found) < at_once:
            before = ""
    return Page(items=items, cursor=before)


ROWS: Final[Rows] = (
    row("GET", "/history", Rank.VIEWER, list_history, params=OfUser, answer=Page[PastConnection]),
    row("GET", "/audit", Rank.VIEWER, list_audit, params=PagedEntries, answer=Page[Audited]),
)
