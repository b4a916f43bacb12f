"""As `fairlead.streams.answering`, blocking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from fairlead.names import Names
from fairlead.publishing.replies import told
from fairlead.redis.patience import patiently_sync
from fairlead.redis.sync_shards import SyncShards, sync_shards_of
from fairlead.streams import answers
from fairlead.streams.answers import Asked, Outcome, Silent
from fairlead.sync.publisher import SyncPublisher

if TYPE_CHECKING:
    from redis import Redis

LOOK_SECONDS: Final = (0.001, 0.002, 0.004, 0.01, 0.02, 0.05)
"""When to look whether an answer was taken, and then as the last: replicas take them at once, or not at all."""

NOBODY: Final = ""
"""Where to tell us: nowhere, since we look ourselves."""


class SyncAnswering:
    """As `fairlead.streams.answering.Answering`."""

    def __init__(
        self,
        redis: Redis | SyncShards,
        names: Names,
        publisher: SyncPublisher,
        *,
        sender: str,
        timeout_seconds: float,
    ) -> None:
        self._shards = sync_shards_of(redis)
        self._names = names
        self._publisher = publisher
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._silent = Silent()

    def give(self, asked: Asked, answer: bytes) -> Outcome:
        """As `fairlead.streams.answering.Answering.give`."""
        call = answers.answer(self._names, asked, answer, NOBODY)
        given = answers.given(patiently_sync(self._timeout_seconds, self._shards.run, *call))
        state = self._taken(asked) if given.state == "answered" else given.state
        if state == "late":
            self._publisher.publish(asked.channel, answers.late(asked, given.answer, self._sender))
        if not given.is_first:
            return "duplicate"
        return "late" if state == "late" else "delivered"

    def _taken(self, asked: Asked) -> str:
        patiently_sync(self._timeout_seconds, self._shards.ask, *told(asked.reply, asked.key(self._names)))
        until = time.monotonic() + self._silent.seconds(asked.reply, time.monotonic())
        waits = iter(LOOK_SECONDS)
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, next(waits, LOOK_SECONDS[-1])))
            if state := self._look(asked, waits=True):
                self._silent.took_something(asked.reply)
                return state
        self._silent.took_nothing(asked.reply, time.monotonic())
        return self._look(asked, waits=False) or "late"

    def _look(self, asked: Asked, *, waits: bool) -> str | None:
        call = answers.ended(self._names, asked, waits=waits)
        return answers.outcome(patiently_sync(self._timeout_seconds, self._shards.run, *call))
