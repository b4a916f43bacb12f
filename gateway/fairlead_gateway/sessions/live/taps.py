"""The taps on one replica: what others are shown of what passes by here, for as long as they say that they look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from fairlead.errors import FairleadError, InvalidMessage
from fairlead.format.control import Sighting, TapOrder, sighting
from fairlead.names import ADMINS, kind_of
from fairlead_gateway.pool import Connection, ConnectionPool
from fairlead_gateway.sessions.events import ANY, EventHandler
from fairlead_gateway.sessions.frames import Wanted
from fairlead_gateway.sessions.live import items
from fairlead_gateway.sessions.live.tap import Tap
from fairlead_gateway.sessions.reading import checked

if TYPE_CHECKING:
    from fairlead_gateway.dispatch.relay import Relay
    from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)

TICK_SECONDS: Final = 0.2
"""How often what was seen is told. All replicas do it at the same moment, as far as their clocks agree."""

MAX_TAPS: Final = 64
"""How many may look at once: each costs every message a little."""

MAX_SECONDS: Final = 60.0
"""How long a tap may last that nobody renews."""


class Taps:
    """
    Who looks at this replica, from whichever.

    While nobody does, messages and events pass by as if there were no taps. A watcher that dies with its replica is
    forgotten when it has not said for a while that it looks.
    """

    def __init__(self) -> None:
        self._taps: dict[str, Tap] = {}
        self._any = asyncio.Event()
        self._handler: EventHandler | None = None
        self._relay: Relay | None = None

    def __len__(self) -> int:
        return len(self._taps)

    def attach(self, relay: Relay) -> None:
        """Look at what passes *relay*."""
        self._relay = relay

    def obey(self, replica: Replica, order: TapOrder) -> None:
        """Somebody begins to look, goes on looking, looks for something else, or stops."""
        if order.seconds <= 0:
            if self._taps.pop(order.id, None) is not None:
                log.info("tap ended", tap=order.id)
        else:
            try:
                self._place(replica, order)
            except InvalidMessage as error:
                log.warning("tap not understood", why=error.message)
        self._turn(replica)

    async def run(self, replica: Replica) -> None:
        """Tell what was seen, tick by tick, until cancelled; while nobody looks nothing runs."""
        while True:
            await self._any.wait()
            await asyncio.sleep(TICK_SECONDS - time.time() % TICK_SECONDS)
            now = time.monotonic()
            for tap in list(self._taps.values()):
                if tap.until <= now:
                    log.info("tap ended by itself", tap=tap.id)
                    del self._taps[tap.id]
                elif not tap.is_telling:
                    self._tell(replica, tap)
            self._turn(replica)

    # -- who looks -------------------------------------------------------------------------------

    def _place(self, replica: Replica, order: TapOrder) -> None:
        """:raises InvalidMessage: what is wanted is not of a shape that is known here."""
        if kind_of(order.to) != "replica":
            raise InvalidMessage("what is seen is told to replicas alone")
        wanted = checked(Wanted, order.wanted)
        content = order.content and replica.settings.live_content
        until = time.monotonic() + min(order.seconds, MAX_SECONDS)
        tap = self._taps.get(order.id)
        if tap is not None and (tap.wanted, tap.content, tap.to) == (wanted, content, order.to):
            tap.until = until
        elif tap is not None or len(self._taps) < MAX_TAPS:
            log.info("tap begun", tap=order.id, to=order.to)
            self._taps[order.id] = Tap(order.id, wanted, content=content, to=order.to, until=until)
        else:
            log.warning("too many look at once", limit=MAX_TAPS)

    def _turn(self, replica: Replica) -> None:
        """Begin to look, or stop, as there is somebody who wants it or not."""
        if bool(self._taps) == self._any.is_set():
            return
        if self._handler is not None:
            self._any.clear()
            replica.events.off(ANY, self._handler)
            self._handler = None
        else:
            self._any.set()
            self._handler = partial(self._event, replica)
            replica.events.on(ANY, self._handler)
        if self._relay is not None:
            self._relay.note = partial(self._message, replica) if self._taps else None

    # -- what is seen ----------------------------------------------------------------------------

    def _message(
        self, replica: Replica, channel: str, id: str, type: str, exclude: str, offset: int, frame: bytes
    ) -> None:
        if channel == ADMINS:
            return
        now = time.monotonic()
        for tap in self._taps.values():
            if tap.wants_message(channel, type) and tap.admits(now):
                receivers, content = _receivers(replica.pool, channel, exclude), tap.content
                item = items.message(replica.id, channel, id, type, offset, frame, receivers=receivers, content=content)
                tap.add(item)

    def _event(self, replica: Replica, facts: Mapping[str, Any]) -> None:
        now = time.monotonic()
        for tap in self._taps.values():
            if tap.wants_event(facts["event"]) and tap.admits(now):
                tap.add(items.event(replica.id, facts, content=tap.content))

    # -- what is told ----------------------------------------------------------------------------

    def _tell(self, replica: Replica, tap: Tap) -> None:
        """Tell what *tap* has seen; what it sees until that has arrived waits for the next time, or is dropped."""
        seen, dropped = tap.take()
        if seen or dropped:
            tap.is_telling = True
            replica.tasks.start(self._told(replica, tap, Sighting(tap.id, seen, dropped)), name=f"tap {tap.id}")

    async def _told(self, replica: Replica, tap: Tap, seen: Sighting) -> None:
        try:
            await replica.publisher.publish(tap.to, sighting(seen), durable=False)
        except FairleadError as error:
            log.info("not shown what was seen", tap=tap.id, why=error.message)
            tap.drop(len(seen.items) + seen.dropped)
        finally:
            tap.is_telling = False


def _receivers(pool: ConnectionPool[Connection], channel: str, exclude: str) -> int:
    """How many of the members of *channel* get what is for all but those in *exclude*."""
    members = pool.members(channel)
    if not exclude:
        return len(members)
    # A user's own channel has all connections of the user, and that of a connection has it alone.
    return len(members) - sum(spared in members for spared in pool.members(exclude))
