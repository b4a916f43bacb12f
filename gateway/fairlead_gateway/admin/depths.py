"""How full Redis is of what waits, looked up for alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fairlead.names import Names
from fairlead.redis.shards import Shards
from fairlead_gateway.admin.alerts import Depths
from fairlead_gateway.admin.servers import servers
from fairlead_gateway.facts.lane import Lane


async def depths(lane: Lane, names: Names, shards: Shards) -> Depths:
    """
    What waits now.

    :raises Unavailable: Redis, or a part of it, cannot be reached.
    """
    ingress, events, inbound, *questions = await asyncio.gather(
        lane.call("XLEN", names.ingress),
        _behind(lane, names.events),
        _behind(lane, names.inbound),
        *(lane.call("ZCARD", due) for due in names.all_asks_due()),
    )
    memory = {server.name: server.memory_percent for server in await servers(shards)}
    known = {name: percent for name, percent in memory.items() if percent is not None}
    return Depths(ingress, max(events, inbound), sum(questions), known)


async def _behind(lane: Lane, stream: str) -> int:
    """How many entries of *stream* its slowest group has not worked off; 0 where nobody reads it."""
    if not await lane.call("EXISTS", stream):
        return 0
    groups = [_fields(group) for group in await lane.call("XINFO", "GROUPS", stream)]
    # Redis does not know the lag of a group for which entries were deleted in the middle.
    return max((int(group.get(b"lag") or 0) + int(group[b"pending"]) for group in groups), default=0)


def _fields(group: dict[bytes, Any] | Sequence[Any]) -> dict[bytes, Any]:
    return group if isinstance(group, dict) else dict(zip(group[::2], group[1::2], strict=True))
