"""Acknowledgements that clients of this replica give for messages of whatever sender (RT-5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from fairlead.names import Names
from fairlead.publishing import acks
from fairlead.publishing.replies import told
from fairlead.publishing.sent import Acknowledger
from fairlead_gateway.facts.lane import Lane


class Acks:
    """Writes acknowledgements down, and tells the senders that wait."""

    def __init__(self, lane: Lane, names: Names) -> None:
        self._lane = lane
        self._names = names

    async def acknowledge(self, channel: str, message_ids: Iterable[str], by: Acknowledger) -> dict[str, str]:
        """
        What became of each acknowledgement: ``delivered``, ``duplicate`` when somebody was earlier, ``expired`` when
        the sender waits no more, ``unknown`` when nobody ever waited.

        :raises Unavailable: Redis cannot be reached; some may have been written down, and doing it again is harmless.
        """
        records = {message_id: acks.record(self._names, channel, message_id) for message_id in message_ids}
        answers = await asyncio.gather(*(self._lane.run(*acks.acknowledge(record, by)) for record in records.values()))
        results: dict[str, str] = {}
        for (message_id, record), (result, reply) in zip(records.items(), answers, strict=True):
            results[message_id] = result.decode()
            for command in told(reply.decode(), record.key) if reply else ():
                # Need not arrive: whoever waits looks by itself a moment later.
                self._lane.call(*command)
        return results

    async def awaited(self, channel: str, offset: int, epoch: str = "") -> list[str]:
        """
        Ids of the messages of *channel* up to *offset* that somebody waits to be acknowledged.

        :param epoch: of the offset; empty for the channel's of now.
        :raises Unavailable: Redis cannot be reached.
        """
        return [id_.decode() for id_ in await self._lane.run(*acks.awaited(self._names, channel, offset, epoch))]
