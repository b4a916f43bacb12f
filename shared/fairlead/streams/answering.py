"""Answering an action of a client: on the socket that asked, or to the user, but not both."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from fairlead.names import Names
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.replies import Replies, told
from fairlead.redis.patience import patiently
from fairlead.redis.shards import Shards, shards_of
from fairlead.streams import answers
from fairlead.streams.answers import Asked, Outcome, Silent

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Answering:
    """
    Gives answers, and sees each to its end.

    :param sender: whom a late answer comes from.
    :param timeout_seconds: how long Redis may be away before an answer raises; given again, nothing is said twice.
    """

    def __init__(
        self,
        redis: Redis | Shards,
        names: Names,
        publisher: Publisher,
        replies: Replies,
        *,
        sender: str,
        timeout_seconds: float,
    ) -> None:
        self._shards = shards_of(redis)
        self._names = names
        self._publisher = publisher
        self._replies = replies
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._silent = Silent()

    async def give(self, asked: Asked, answer: bytes) -> Outcome:
        """
        What became of *answer*; another one that was given before counts, and is seen to its end.

        :raises Unavailable: Redis could not be reached in time.
        """
        call = answers.answer(self._names, asked, answer, self._replies.address)
        given = answers.given((await patiently(self._timeout_seconds, self._shards.run_all, [call]))[0])
        state = await self._taken(asked) if given.state == "answered" else given.state
        if state == "late":
            await self._publisher.publish(asked.channel, answers.late(asked, given.answer, self._sender))
        if not given.is_first:
            return "duplicate"
        return "late" if state == "late" else "delivered"

    async def _taken(self, asked: Asked) -> str:
        """Tell the replica that asked, and wait until it has taken the answer; then, that it need not any more."""
        key = asked.key(self._names)
        with self._replies.waiting(key, answers.ended(self._names, asked, waits=True), answers.outcome) as outcome:
            await patiently(self._timeout_seconds, self._shards.ask, *told(asked.reply, key))
            await asyncio.wait([outcome], timeout=self._silent.seconds(asked.reply, time.monotonic()))
            if outcome.done():
                self._silent.took_something(asked.reply)
                return outcome.result()
        self._silent.took_nothing(asked.reply, time.monotonic())
        call = answers.ended(self._names, asked, waits=False)
        reply = (await patiently(self._timeout_seconds, self._shards.run_all, [call]))[0]
        return answers.outcome(reply) or "late"
