"""The watch: where the master of a service is, heard from every sentinel and asked of all each second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from redis.exceptions import ConnectionError

from fairlead.redis.address import HostPort
from fairlead.redis.placed import Place
from fairlead.redis.sentinel import Service
from fairlead_gateway.dispatch.interest import Where
from fairlead_gateway.dispatch.link import Link
from fairlead_gateway.dispatch.reader import RedisReader

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 1.0

SWITCH: Final = b"+switch-master"


class Watch:
    """
    Follows one master.

    A sentinel that tells of a new one is only a reason to ask: it is believed when enough of them say the same.

    :param moved: called when the master is elsewhere.
    """

    def __init__(self, service: Service, moved: Callable[[], None], name: str) -> None:
        self._service = service
        self._moved = moved
        self._told = asyncio.Event()
        self._links = [
            Link(
                service.address.sentinel_url,
                self,
                lambda batch: self._told.set(),
                name,
                place=Place(*host),
                what=f"sentinel {host[0]}:{host[1]}",
            )
            for host in service.address.hosts
        ]

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for link in self._links:
                group.create_task(link.run(), name="sentinel link")
            group.create_task(self._poll(), name="sentinel poll")

    async def _poll(self) -> None:
        at: HostPort | None = None
        is_agreed = True
        while True:
            self._told.clear()
            try:
                found = await self._service.locate()
            except ConnectionError as error:
                if is_agreed:
                    log.warning("sentinels do not agree", why=str(error))
                is_agreed = False
            else:
                is_agreed = True
                if at is not None and found != at:
                    log.warning("the master has changed", service=self._service.address.service, now=_text(found))
                    self._moved()
                at = found
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._told.wait()
            except TimeoutError:
                continue

    # -- what a link is told to hear, see `fairlead_gateway.dispatch.link.Hearing` ----------------

    def serve(self, reader: RedisReader, shard: Where) -> None:
        reader.subscribe([SWITCH])

    def deaf(self, shard: Where) -> None:
        self._told.set()

    def confirmed(self, name: bytes, shard: Where) -> None:
        self._told.set()

    def ended(self, name: bytes, shard: Where) -> bool:
        return False

    def is_whole_on(self, shard: Where) -> bool:
        return True


def _text(host: HostPort) -> str:
    return f"{host[0]}:{host[1]}"
