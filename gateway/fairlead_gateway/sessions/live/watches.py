"""Those at this replica who watch live: what they want to see is asked of all replicas, and brought together."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from fairlead.errors import RateLimited, Unavailable
from fairlead.format.control import Sighting, TapOrder, tap_order
from fairlead.ids import uuid7
from fairlead.names import FLEET, replica_channel
from fairlead_gateway.access.roles import Rank, rank_of
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions.frames import Wanted
from fairlead_gateway.sessions.live.taps import MAX_TAPS, TICK_SECONDS
from fairlead_gateway.sessions.live.window import Window

if TYPE_CHECKING:
    from fairlead.pushes import Live
    from fairlead_gateway.sessions.replica import Replica
    from fairlead_gateway.sessions.replies import Watching

log = structlog.get_logger(__name__)

LASTS_SECONDS: Final = 15.0
"""How long replicas go on showing what they see to one of which they hear nothing."""

RENEW_SECONDS: Final = 5.0
"""How often they are told that it still looks; so they learn it, too, who have just come, or had lost Redis."""


class Watch:
    """One connection that watches."""

    __slots__ = ("connection", "content", "id", "renew_at", "wanted", "window")

    def __init__(self, connection: Connection, wanted: Wanted, content: bool) -> None:
        self.id = uuid7()
        self.connection = connection
        self.wanted = wanted
        self.content = content
        """Whether it may see what messages say."""
        self.window = Window(wanted.max_per_second)
        self.renew_at = time.monotonic() + RENEW_SECONDS
        """When to say again that it looks (monotonic seconds)."""


class Watches:
    """
    Who watches here. A watch lasts until its connection says otherwise or ends; whether Redis is there all the time or
    not, and whichever replicas come and go.
    """

    def __init__(self) -> None:
        self._of: dict[Connection, Watch] = {}
        self._by_id: dict[str, Watch] = {}
        self._any = asyncio.Event()

    async def begin(self, replica: Replica, connection: Connection, wanted: Wanted) -> Watching:
        """
        Let *connection* see what is *wanted* from now on, whatever it watched before.

        :raises RateLimited: as many watch already as may.
        :raises Unavailable: Redis cannot be reached; it watches what it did before.
        """
        before = self._of.get(connection)
        if before is None and len(replica.taps) >= MAX_TAPS:
            raise RateLimited(f"{MAX_TAPS} connections watch already; let one of them stop", limit=MAX_TAPS)
        watch = Watch(connection, wanted, may_read(replica, connection))
        self._replace(connection, watch)
        try:
            if before is not None:
                await self._say(replica, before, 0)
            replicas = await self._say(replica, watch, LASTS_SECONDS)
        except BaseException:
            if connection.joined:
                self._replace(connection, before)
            raise
        return {"max_per_second": wanted.max_per_second, "content": watch.content, "replicas": replicas}

    def end(self, replica: Replica, connection: Connection) -> None:
        """*connection* watches no more, if it did."""
        watch = self._of.get(connection)
        if watch is not None:
            self._replace(connection, None)
            replica.tasks.start(self._say_again(replica, watch, 0), name=f"end of watch {watch.id}")

    def reconsider(self, replica: Replica, connection: Connection) -> None:
        """*connection* speaks for somebody of another role: it may see what messages say, or no longer."""
        watch = self._of.get(connection)
        if watch is not None and watch.content != may_read(replica, connection):
            watch.content = not watch.content
            watch.renew_at = 0.0

    def seen(self, sighting: Sighting) -> None:
        """A replica has seen something that was asked for here."""
        watch = self._by_id.get(sighting.id)
        if watch is not None:
            watch.window.add(sighting.items, sighting.dropped, time.monotonic())

    async def run(self, replica: Replica) -> None:
        """Show what came in, half a tick after replicas have told it, until cancelled; without a watch nothing runs."""
        while True:
            await self._any.wait()
            await asyncio.sleep(TICK_SECONDS - (time.time() + TICK_SECONDS / 2) % TICK_SECONDS)
            now = time.monotonic()
            for watch in list(self._of.values()):
                _show(replica, watch)
                if watch.renew_at <= now:
                    watch.renew_at = now + RENEW_SECONDS
                    replica.tasks.start(self._say_again(replica, watch, LASTS_SECONDS), name=f"watch {watch.id}")

    # -- inside ----------------------------------------------------------------------------------

    def _replace(self, connection: Connection, watch: Watch | None) -> None:
        """*connection* watches as *watch* has it, or no more."""
        before = self._of.pop(connection, None)
        if before is not None:
            del self._by_id[before.id]
        if watch is not None:
            self._of[connection] = self._by_id[watch.id] = watch
            self._any.set()
        elif not self._of:
            self._any.clear()

    async def _say(self, replica: Replica, watch: Watch, seconds: float) -> int:
        """How many replicas were told that *watch* lasts for *seconds* more."""
        wanted = watch.wanted.model_dump(include=set(Wanted.model_fields))
        order = TapOrder(watch.id, wanted, watch.content, seconds, replica_channel(replica.id))
        return (await replica.publisher.publish(FLEET, tap_order(order), durable=False)).receivers

    async def _say_again(self, replica: Replica, watch: Watch, seconds: float) -> None:
        try:
            await self._say(replica, watch, seconds)
        except Unavailable as error:
            log.info("replicas not told of a watch", watch=watch.id, why=error.message)


def may_read(replica: Replica, connection: Connection) -> bool:
    """Whether *connection* may see what the messages of others say."""
    settings = replica.settings
    return settings.live_content and rank_of(connection.identity, settings) >= Rank.ADMIN


def _show(replica: Replica, watch: Watch) -> None:
    items, dropped = watch.window.take()
    if not watch.content:
        for item in items:
            item.pop("content", None)
    if items or dropped:
        shown: Live = {"type": "live", "items": items, "dropped": dropped}
        replica.voice.say(watch.connection, shown)
