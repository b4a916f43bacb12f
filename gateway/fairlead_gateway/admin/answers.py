"""What a replica answers when others ask it: one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fairlead.names import is_id
from fairlead_gateway.admin.surveys import Answer, Found
from fairlead_gateway.admin.traces import MOST_PLACES
from fairlead_gateway.dispatch.trail import At
from fairlead_gateway.sessions.replica import Replica


async def connection(replica: Replica, about: Mapping[str, Any]) -> Found:
    """Everything that may be shown about one connection, if it is here."""
    found = replica.pool.get(str(about.get("id")))
    return {"connections": [found.info(replica.id)] if found is not None and found.joined else []}


async def connections_of(replica: Replica, about: Mapping[str, Any]) -> Found:
    """The connections here that hear a channel, a user's for instance."""
    channel = about.get("channel")
    heard = replica.pool.members(channel) if isinstance(channel, str) and is_id(channel) else ()
    return {"connections": [one.info(replica.id) for one in heard]}


async def trace(replica: Replica, about: Mapping[str, Any]) -> Found:
    """The stations here of the message with an id, which others may know to stand at some places."""
    id, places = about.get("id"), about.get("places")
    known = [
        At(channel, offset, epoch)
        for channel, offset, epoch in (places if isinstance(places, list) else ())
        if isinstance(channel, str) and isinstance(offset, int) and isinstance(epoch, str)
    ]
    return {"steps": replica.trail.of(id, known[:MOST_PLACES]) if isinstance(id, str) else []}


ANSWERS: Final[Mapping[str, Answer]] = {
    "connection": connection,
    "connections_of": connections_of,
    "trace": trace,
}
"""By the name of the question."""
