"""Tasks as replicas ask for them: the state that newcomers are told, what a user has, and which have fallen silent."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from fairlead.names import Names, id_of
from fairlead.publishing.forms import Form, fate
from fairlead.redis.scripts import load
from fairlead.state.task import ENDED, Task
from fairlead.state.tasks import state_head, task_of
from fairlead_gateway.facts import pages
from fairlead_gateway.facts.lane import SCRIPTS, Lane

_TELL: Final = load("tell")

STALLED: Final = Form(load("stalled", SCRIPTS), keys=1, args=3, read=fate)

LOOK_SECONDS: Final = 1.0
"""How often one of all replicas looks for tasks that have fallen silent."""

SHOWN_MS: Final = 300_000
"""How long a task that has ended is still among the current ones of its owner."""

COMING_MS: Final = 60_000
"""How long a task may be known to its owner before its own first word; a backend that died never says it."""

_ENDED: Final = frozenset(b'"%b"' % status.encode() for status in ENDED)


class Silence(NamedTuple):
    """That a running task says nothing; times of Redis, in ms."""

    since_ms: int
    stalled_ms: int
    """When it will have stalled."""
    now_ms: int


class TaskStates:
    """
    Asks for tasks; all raise `Unavailable` while Redis cannot be reached.

    :param stalled_seconds: silence after which a running task has stalled that does not say itself; 0 for never.
    """

    def __init__(self, lane: Lane, names: Names, stalled_seconds: float) -> None:
        self._lane = lane
        self._names = names
        self._default_ms = int(stalled_seconds * 1000)

    async def tell(self, channel: str) -> bytes:
        """The state of a task as the frame that tells it; empty where there is no such task."""
        task_id = id_of(channel)
        frame: bytes = await self._lane.run(_TELL, (self._names.task(task_id),), (state_head(task_id),))
        return frame

    async def ask(self, task_id: str) -> Task | None:
        """A task as it stands; None where there is no such task, or not any more."""
        query = task_of(self._names, task_id)
        return query.read(await asyncio.gather(*(self._lane.call(*command) for command in query.commands)))

    async def current(self, user_id: str) -> list[str]:
        """
        The tasks of a user that go on, are about to begin, or have ended lately; the latest first.

        Being among those that were said to be a user's is no leave to hear one: it may have had another owner, who
        stays, or have got one since.
        """
        key = self._names.tasks(user_id)
        flat = await self._lane.call("ZRANGE", key, 0, -1, "REV", "WITHSCORES")
        known = {task.decode(): int(score) for task, score in zip(flat[::2], flat[1::2], strict=True)}
        if not known:
            return []
        asked = [self._lane.call("HMGET", self._names.task(task), "status", "@at", "@owner") for task in known]
        (seconds, _), *states = await asyncio.gather(self._lane.call("TIME"), *asked)
        now_ms = int(seconds) * 1000
        found = {
            task: owner in (None, user_id.encode()) and is_current(status, at, known[task], now_ms)
            for task, (status, at, owner) in zip(known, states, strict=True)
        }
        if gone := [task for task, current in found.items() if not current]:
            self._lane.call("ZREM", key, *gone)
        return [task for task, current in found.items() if current]

    async def going_on(self, cursor: str, limit: int) -> tuple[list[Task], str]:
        """
        Some tasks that have not ended, at most *limit*, and the cursor of the next page; see `pages.page`.

        :raises InvalidMessage: *cursor* is none that a page gave.
        """
        found = await pages.page(self._lane, self._names.all_tasks_going_on(), cursor, limit)
        tasks = await asyncio.gather(*(self.ask(task_id) for task_id in found.members))
        for task_id in (id for id, task in zip(found.members, tasks, strict=True) if task is None):
            # Its state is gone, by eviction say.
            self._lane.call("ZREM", self._names.tasks_going_on(task_id), task_id)
        return [task for task in tasks if task is not None and not task.has_ended], found.cursor

    async def settled(self, task_id: str) -> None:
        """Nothing is left to be done about a task that was cancelled."""
        await self._lane.call("ZREM", self._names.tasks_due(task_id), task_id)

    async def silence(self, task_id: str) -> Silence | None:
        """How long a task has said nothing; None for one that need not say anything, or of which that is known."""
        asked = self._lane.call("HMGET", self._names.task(task_id), "status", "@at", "@patience", "@stalled")
        (seconds, micros), (status, at, patience, stalled) = await asyncio.gather(self._lane.call("TIME"), asked)
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return silence(status, at, patience, stalled, self._default_ms, now_ms)


def is_current(status: bytes | None, at: bytes | None, known_ms: int, now_ms: int) -> bool:
    """Whether a task is still to be shown to its owner, to whom it was made known at *known_ms*."""
    if status is None or at is None:
        return now_ms < known_ms + COMING_MS
    return status not in _ENDED or now_ms < int(at) + SHOWN_MS


def silence(
    status: bytes | None,
    at: bytes | None,
    patience: bytes | None,
    stalled: bytes | None,
    default_ms: int,
    now_ms: int,
) -> Silence | None:
    """What the fields of a task say about its silence; see `TaskStates.silence`."""
    allowed = default_ms if patience is None else int(patience)
    if status != b'"running"' or at is None or stalled is not None or not allowed:
        return None
    return Silence(int(at), int(at) + allowed, now_ms)
