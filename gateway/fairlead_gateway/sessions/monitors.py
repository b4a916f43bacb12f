"""Connections that watch all tasks of their user, also those that begin while they watch (ST-2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import structlog

from fairlead.errors import FairleadError, NotFound, RateLimited
from fairlead.state.tasks import task_channel
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import seating

if TYPE_CHECKING:
    from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 30.0
"""Within this each user is looked at again, should Redis have lost the hint that there is something new."""


class Monitors:
    """
    Who is at ``/ws/monitor/tasks``, and which tasks it was seated in without asking.

    Each task has a channel of its own, also here: a monitor is seated in those of its user's tasks. A hint on the
    user's channel (see `fairlead.state.tasks.own`) says that there are others by now; what is true is what Redis
    then holds.
    """

    def __init__(self) -> None:
        self._of: dict[str, dict[Connection, set[str]]] = {}
        self._looking: dict[str, bool] = {}
        """By user that is being looked at: whether to look once more."""

    def add(self, connection: Connection, channels: Iterable[str]) -> None:
        """*connection* watches all tasks of its user; it is seated in the *channels* of those that there are."""
        self._of.setdefault(connection.user_id, {})[connection] = set(channels)

    def drop(self, connection: Connection) -> None:
        """*connection* has ended, whether it was a monitor or not."""
        of = self._of.get(connection.user_id)
        if of is not None and of.pop(connection, None) is not None and not of:
            del self._of[connection.user_id]

    def keep(self, connection: Connection, channel: str) -> None:
        """*connection* has asked for *channel* itself, and leaves it when it wants to."""
        channels = self._of.get(connection.user_id, {}).get(connection)
        if channels is not None:
            channels.discard(channel)

    def look(self, replica: Replica, user_id: str) -> None:
        """See soon whether the monitors of *user_id* sit where they should; costs nothing where there are none."""
        if user_id not in self._of:
            return
        if user_id in self._looking:
            self._looking[user_id] = True
            return
        self._looking[user_id] = False
        replica.tasks.start(self._look(replica, user_id), name=f"tasks of {user_id}")

    async def run(self, replica: Replica) -> None:
        """Look at everybody again and again, evenly over `LOOK_SECONDS`, until cancelled."""
        while True:
            users = list(self._of)
            for user_id in users:
                self.look(replica, user_id)
                await asyncio.sleep(LOOK_SECONDS / len(users))
            if not users:
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, replica: Replica, user_id: str) -> None:
        try:
            again = True
            while again:
                self._looking[user_id] = False
                current = [task_channel(task) for task in await replica.task_states.current(user_id)]
                for connection, seated in list(self._of.get(user_id, {}).items()):
                    if connection.is_live and connection.joined:
                        await _seat(replica, connection, seated, current)
                again = self._looking[user_id]
        except FairleadError as error:
            log.warning("a monitor was not shown all tasks", user_id=user_id, why=error.message)
        finally:
            del self._looking[user_id]


async def _seat(replica: Replica, connection: Connection, seated: set[str], current: list[str]) -> None:
    """
    Let a monitor hear *current*, as far as there is room, and no longer what was current before.

    What it has left itself is still among those that it was *seated* in, and so is not forced on it again.
    """
    over = seated.difference(current)
    seated -= over
    seating.stand_up(replica, connection, list(over))
    room = replica.settings.max_channels_per_connection - len(connection.channels)
    new = [name for name in current if name not in seated and name not in connection.channels][:room]
    if new:
        seated.update(new)
        try:
            seating.go_on(replica, connection, await seating.sit(replica, connection, new, {}))
        except (NotFound, RateLimited):
            # It has ended meanwhile, or taken the room for what it asked for itself.
            seated.difference_update(new)
        except BaseException:
            seated.difference_update(new)
            raise
