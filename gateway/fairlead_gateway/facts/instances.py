"""Instances, as this replica changes them, and reads them for those who come late (ST-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from fairlead.errors import Unavailable
from fairlead.format.messages import SYSTEM
from fairlead.names import Names, id_of
from fairlead.publishing.forms import Change
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.sent import Sent
from fairlead.state import instances
from fairlead.state.instances import Standing
from fairlead_gateway.facts.lane import Lane

log = structlog.get_logger(__name__)


class Instances:
    """
    The state of instances.

    :param ttl_seconds: how long a state is kept after its last change.
    """

    def __init__(self, lane: Lane, names: Names, publisher: Publisher, ttl_seconds: int) -> None:
        self._lane = lane
        self._names = names
        self._publisher = publisher
        self._ttl_seconds = ttl_seconds
        self._reading: dict[str, asyncio.Task[bytes]] = {}
        self._next: dict[str, asyncio.Task[bytes]] = {}

    async def patch(
        self,
        instance_name: str,
        patch: Mapping[str, object],
        patch_id: str | int | None = None,
        base_version: int | None = None,
        *,
        unset: Iterable[str] = (),
        sender: str = SYSTEM,
    ) -> Sent:
        """As `fairlead.backend.sends.Sends.send_patch`."""
        channel, change = instances.patched(
            self._names,
            instance_name,
            patch,
            unset,
            patch_id=patch_id,
            base_version=base_version,
            sender=sender,
            ttl_seconds=self._ttl_seconds,
        )
        return await self.change(channel, change)

    async def change(self, channel: str, change: Change) -> Sent:
        """Publish *change*, and fold the document when it is this replica's turn to."""
        sent = await self._publisher.publish(channel, change)
        if sent.fate.is_due:
            await self._fold(id_of(channel))
        return sent

    async def read(self, instance_name: str) -> Standing:
        """
        What Redis has of an instance.

        :raises Unavailable: Redis cannot be reached.
        """
        question = instances.standing(self._names, instance_name)
        return question.read(await asyncio.gather(*(self._lane.call(*command) for command in question.commands)))

    async def snapshot(self, channel: str) -> bytes:
        """
        The state of an instance as the frame that clients get, not older than this call.

        Many who ask at once get the same: that which was not begun before the last of them asked.

        :raises Unavailable: Redis cannot be reached.
        """
        task = self._next.get(channel)
        if task is None:
            work = self._snapshot_after(self._reading.get(channel), channel)
            task = self._next[channel] = asyncio.get_running_loop().create_task(work, name=f"snapshot of {channel}")
        return await asyncio.shield(task)

    async def _snapshot_after(self, before: asyncio.Task[bytes] | None, channel: str) -> bytes:
        if before is not None:
            await asyncio.wait([before])
        task = self._reading[channel] = self._next.pop(channel)
        try:
            return (await self.read(id_of(channel))).snapshot()
        finally:
            if self._reading.get(channel) is task:
                del self._reading[channel]

    async def _fold(self, instance_name: str) -> None:
        try:
            await self._lane.run(*instances.fold(self._names, await self.read(instance_name)))
        except Unavailable as error:
            log.warning("not folded; somebody else will", instance=instance_name, why=error.message)
