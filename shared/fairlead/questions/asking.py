"""Asking people and waiting for what they say, for as many questions at once as there are (ASK-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead.errors import NotFound, Unavailable
from fairlead.names import Names
from fairlead.publishing.copies import sure
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.replies import Replies
from fairlead.questions import asks, talks
from fairlead.questions.asks import Result, Standing, ended, known, unknown_outcome
from fairlead.questions.confirmation import Asked, UserConfirmation
from fairlead.questions.question import Question, split
from fairlead.questions.shown import asked, confirmation
from fairlead.questions.talks import Happening, Heard, Step, Talk, told
from fairlead.redis.atlas import SomeCommand
from fairlead.redis.calls import Call
from fairlead.redis.patience import patiently
from fairlead.redis.shards import Shards, shards_of

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")


class Asks:
    """
    Asks questions, in the name of *sender*.

    :param replies: where this process is told of answers.
    :param timeout_seconds: how long Redis may be away before a question is not asked; and, after the deadline, before
        waiting for its outcome ends in `Unavailable`.
    :param durable_replicas: how many replicas of Redis must have a question before it is shown, and its outcome before
        anybody is told (see `fairlead.publishing.copies.Copies`).
    :param happened: called with what backends are to hear of; without it, it is written to their stream.
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
        durable_replicas: int = 0,
        happened: Callable[[Happening], None] | None = None,
    ) -> None:
        self._shards = shards_of(redis)
        self._names = names
        self._publisher = publisher
        self._replies = replies
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._sure = sure(durable_replicas, timeout_seconds)
        self._happened = happened

    async def ask(self, question: Question) -> UserConfirmation:
        """
        Ask, and return what it has come to.

        Whoever is cancelled while it waits leaves the question as it is: it can be answered, and asked for again
        under the same key.

        :raises Unanswered: nobody answered in time, and the question was to raise then.
        :raises RateLimited: somebody who is asked has too many questions to answer already.
        :raises Unavailable: Redis cannot be reached; asked again under the same key, it is the same question.
        """
        standing = await self.open(question)
        on_timeout = standing.asked["on_timeout"]
        if standing.state == "pending":
            standing = await self._wait(standing, standing.left_seconds + self._timeout_seconds)
            if standing.state == "pending":
                raise unknown_outcome(standing)
        return confirmation(standing, on_timeout)

    async def begin(self, question: Question) -> Asked:
        """Ask, and do not wait; otherwise as `ask`."""
        return asked(await self.open(question))

    async def outcome(self, callback_id: str, wait_seconds: float = 0.0) -> UserConfirmation | None:
        """
        What a question has come to, waiting up to *wait_seconds* for it; None while there is nothing.

        :raises NotFound: it was never asked, or was over more than a day ago.
        :raises Unanswered: as `ask`.
        :raises Unavailable: Redis cannot be reached, or only since it was to be over.
        """
        standing = await self.standing(*split(callback_id), wait_seconds)
        return None if standing.state == "pending" else confirmation(standing, standing.asked["on_timeout"])

    async def standing(self, id: str, secret: str = "", wait_seconds: float = 0.0) -> Standing:
        """
        How it stands with a question when it is over, or after *wait_seconds*.

        :param secret: of the asking that is meant; empty for the one of now.
        :raises NotFound: it was never asked, or was over more than a day ago.
        :raises Unavailable: Redis cannot be reached, or only since it was to be over.
        """
        standing = await self._known(id, secret)
        if standing.state == "pending" and wait_seconds > 0:
            longest = standing.left_seconds + self._timeout_seconds
            standing = await self._wait(standing, min(wait_seconds, longest))
            if standing.state == "pending" and wait_seconds >= longest:
                raise unknown_outcome(standing)
        return standing

    async def cancel(self, callback_id: str) -> bool:
        """Have a question answered no more, and every open dialog of it closed; whether it was still open."""
        result, _ = await self.close(*split(callback_id))
        return result == "accepted"

    async def close(self, id: str, secret: str = "") -> tuple[Result, Standing | None]:
        """As `cancel`; what became of that, and how it stands since."""
        return await self._drive(talks.closing(self._names, id, secret))

    async def cancel_of_task(self, task_id: str) -> int:
        """Cancel all open questions of a task; how many those were."""
        command = ("ZRANGE", self._names.asks(f"task:{task_id}"), 0, -1)
        ((ids),) = await patiently(self._timeout_seconds, self._shards.ask, command)
        ended = await asyncio.gather(*(self._drive(talks.closing(self._names, id_.decode())) for id_ in ids))
        return sum(result == "accepted" for result, _ in ended)

    async def tend(self, id: str) -> Standing | None:
        """Do whatever is to be done about a question now; see `fairlead.questions.talks.tending`."""
        return await self._drive(talks.tending(self._names, id))

    async def announce(self, standing: Standing) -> Standing:
        """Tell everybody that a question is over."""
        # What few servers know must be looked at again, until enough do.
        known = standing._replace(asked={}) if self._sure else standing
        return await self._drive(talks.announcing(self._names, known))

    async def call(self, call: Call) -> Any:
        """The answer to *call*, when as many servers as are needed have what it wrote; it may be done twice."""
        (reply,) = await patiently(self._timeout_seconds, self._shards.run_all, [call], self._sure)
        return reply

    @property
    def needs_copies(self) -> bool:
        """Whether more servers than one must have an outcome before anybody is told."""
        return self._sure is not None

    # -- inside ----------------------------------------------------------------------------------

    async def open(self, question: Question) -> Standing:
        """As `begin`; how it stands with the question."""
        return await self._drive(talks.opening(self._names, question, self._replies.address, self._sender))

    async def _known(self, id: str, secret: str) -> Standing:
        reply = await self.call(asks.look(asks.record(self._names, id), wholly=True))
        _, standing = asks.settled(id, reply)
        if standing is None or secret not in ("", standing.secret):
            raise NotFound("there is no such question, or it was over more than a day ago")
        return standing

    async def _wait(self, standing: Standing, seconds: float) -> Standing:
        """How it stands when it is over, or after *seconds*."""
        record = asks.record(self._names, standing.id)
        look = asks.look(record)
        with self._replies.waiting(record.key, look, partial(ended, standing)) as over:
            # It may be over by now, and we were told before we listened.
            self._replies.hint(record.key)
            left = standing.left_seconds + asks.MARGIN_SECONDS
            await asyncio.wait([over], timeout=min(left, seconds))
            if not over.done() and seconds > left:
                # The deadline itself is looked at by whoever waits, and by every replica.
                self._replies.hint(record.key)
                await asyncio.wait([over], timeout=seconds - left)
            if not over.done():
                return standing
            found = known(over.result())
        if self._sure:
            found = known(ended(standing, await self.call(look)) or standing)
        return found

    async def _drive(self, talk: Talk[T]) -> T:
        try:
            step = next(talk)
            while True:
                try:
                    heard = await self._do(step)
                except Unavailable as error:
                    step = talk.throw(error)
                else:
                    step = talk.send(heard)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _do(self, step: Step) -> Heard:
        says = [self._publisher.post(channel, envelope) for channel, envelope in step.says]
        seconds, shards = self._timeout_seconds, self._shards
        commands = [*step.commands, *self._told(step.happened)]
        asked = [
            patiently(seconds, shards.run_all, step.calls, self._sure) if step.calls else _nothing(),
            patiently(seconds, shards.ask, *commands) if commands else _nothing(),
        ]
        done = await asyncio.gather(*asked, *says, return_exceptions=True)
        if errors := [one for one in done if isinstance(one, BaseException)]:
            raise errors[0]
        replies, _, *sent = done
        return Heard(replies, [one.fate for one in sent])

    def _told(self, happened: Sequence[Happening]) -> list[SomeCommand]:
        if self._happened is None:
            return [told(self._names, one, self._sender) for one in happened]
        for one in happened:
            self._happened(one)
        return []


async def _nothing() -> list[Any]:
    return []
