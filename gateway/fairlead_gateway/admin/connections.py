"""What a replica tells about its connections: one of them wholly, or a page of those that are looked for."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from fairlead.errors import InvalidJson
from fairlead.format.codec import to_json
from fairlead_gateway.pool import Connection, ConnectionInfo
from fairlead_gateway.sessions.replica import Replica

MAX_PAGE: Final = 500
"""Connections in one answer, with which it stays far below a megabyte."""

SLICE: Final = 400
"""Connections looked at in a row, about a millisecond; then others have their turn."""

SHOWING: Final = 10
"""To show a connection is as much work as to look at so many."""

SHOWN_BYTES: Final = 512
"""Of what a token says about its user (metadata), where connections are listed."""

WHOLE_BYTES: Final = 64 * 1024
"""The same, where one is shown."""

MAX_CHANNELS: Final = 1000
"""Channels of one connection that are named."""

_ADDRESS_CHARACTERS: Final = 64
"""What a proxy may have reported as one; longer than any is."""

_FIRST: Final = ("role", "username", "organisation")
"""Of metadata, what is shown before anything else."""


class Sought(NamedTuple):
    """Which connections are looked for."""

    channels: tuple[str, ...] = ()
    """All of which they hear; ``user:42`` for those of a user."""
    words: str = ""
    """Part of the user's id or name, the connection's id, or the address; in small letters."""
    before: str = ""
    """Only connections whose id is smaller; empty for any."""
    limit: int = MAX_PAGE

    @classmethod
    def read(cls, about: Mapping[str, Any]) -> Sought:
        """What a question says, as far as it makes sense: the question came through Redis."""
        channels = about.get("channels")
        limit = about.get("limit")
        return cls(
            tuple(name for name in channels if isinstance(name, str)) if isinstance(channels, list) else (),
            str(about.get("words", "")).lower(),
            str(about.get("before", "")),
            min(limit, MAX_PAGE) if isinstance(limit, int) and limit > 0 else MAX_PAGE,
        )


async def connection(replica: Replica, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Everything that may be shown about one connection, if it is here."""
    found = replica.pool.get(str(about.get("id")))
    return {"connections": [whole(found, replica.id)] if found is not None and _is_here(found) else []}


async def connections(replica: Replica, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """The latest of the connections here that are looked for, and whether these are all of them."""
    sought = Sought.read(about)
    found: list[Mapping[str, Any]] = []
    work = 0
    # A hundred who ask at once would all be looked after in the same turn of the loop.
    await replica.turns.next()
    for id in _candidates(replica, sought):
        one = replica.pool.get(id)
        work += 1
        if one is not None and _is_here(one) and _is_sought(replica, one, sought):
            if len(found) == sought.limit:
                return {"connections": found, "is_all": False}
            found.append(shown(one, replica.id))
            work += SHOWING
        if work >= SLICE:
            work = 0
            await replica.turns.next()
    return {"connections": found, "is_all": True}


def shown(connection: Connection, replica: str, metadata_bytes: int = SHOWN_BYTES) -> dict[str, Any]:
    """A connection among others."""
    info = connection.info(replica)
    info = replace(info, metadata=_fitting(info.metadata, metadata_bytes), address=info.address[:_ADDRESS_CHARACTERS])
    return {name: getattr(info, name) for name in ConnectionInfo.__slots__} | {
        "quality": connection.quality(time.time())
    }


def whole(connection: Connection, replica: str) -> dict[str, Any]:
    """A connection by itself."""
    return shown(connection, replica, WHOLE_BYTES) | {
        "channels": sorted(connection.channels)[:MAX_CHANNELS],
        "device_id": connection.identity.device_id or None,
        "outbox_bytes": connection.socket.outbox_bytes,
        "expires_at": connection.identity.expires_at,
        "subprotocol": connection.socket.subprotocol,
        "format": "msgpack" if connection.format.is_msgpack else "json",
        "is_compressed": connection.format.is_deflated,
    }


def _is_here(connection: Connection) -> bool:
    return connection.joined and connection.is_live


def _candidates(replica: Replica, sought: Sought) -> Iterator[str]:
    """Ids of those who may be looked for, the latest first."""
    first = sought.channels[0] if sought.channels else ""
    ids: Sequence[str] = sorted(one.id for one in replica.pool.members(first)) if first else replica.pool.ids()
    end = bisect_left(ids, sought.before) if sought.before else len(ids)
    return (ids[index] for index in range(end - 1, -1, -1))


def _is_sought(replica: Replica, connection: Connection, sought: Sought) -> bool:
    if not all(connection in replica.pool.members(channel) for channel in sought.channels):
        return False
    if not sought.words:
        return True
    name = connection.identity.metadata.get("username")
    texts = (connection.user_id, connection.id, connection.socket.remote, name if isinstance(name, str) else "")
    return any(sought.words in text.lower() for text in texts)


def _fitting(metadata: Mapping[str, Any], most_bytes: int) -> dict[str, Any]:
    """As much of *metadata* as is JSON of so many bytes; an application may have put in anything."""
    kept: dict[str, Any] = {}
    for name in sorted(metadata, key=lambda name: (name not in _FIRST, str(name))):
        try:
            size = len(to_json({name: metadata[name]}))
        except InvalidJson:
            continue
        if size <= most_bytes:
            kept[name] = metadata[name]
            most_bytes -= size
    return kept
