"""What a replica answers when others ask it: one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fairlead_gateway.admin import closing, connections, pinging, revoking
from fairlead_gateway.admin.surveys import Answer, Found
from fairlead_gateway.admin.traces import MOST_PLACES
from fairlead_gateway.dispatch.trail import At
from fairlead_gateway.sessions.replica import Replica


async def trace(replica: Replica, about: Mapping[str, Any]) -> Found:
    """The stations here of the message with an id, which others may know to stand at some places."""
    id, places = about.get("id"), about.get("places")
    known: list[At] = []
    for place in places[:MOST_PLACES] if isinstance(places, list) else ():
        match place:
            case [str(channel), int(offset), str(epoch)]:
                known.append(At(channel, offset, epoch))
    return {"steps": replica.trail.of(id, known) if isinstance(id, str) else []}


ANSWERS: Final[Mapping[str, Answer]] = {
    "close": closing.close,
    "connection": connections.connection,
    "connections": connections.connections,
    "ping": pinging.ping,
    "revoked": revoking.revoked,
    "trace": trace,
}
"""By the name of the question."""
