"""As `fairlead.questions.asking`, blocking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import RedisError

from fairlead.errors import FairleadError, NotFound, Unavailable
from fairlead.names import Names
from fairlead.publishing.copies import sure
from fairlead.questions import asks, talks
from fairlead.questions.asks import Standing, ended, known, unknown_outcome
from fairlead.questions.confirmation import Asked, UserConfirmation
from fairlead.questions.question import Question, split
from fairlead.questions.shown import asked, confirmation
from fairlead.questions.talks import Heard, Step, Talk, told
from fairlead.redis.calls import Call
from fairlead.redis.outage import is_passing
from fairlead.redis.patience import patiently_sync
from fairlead.redis.sync_shards import SyncShards, sync_shards_of
from fairlead.sync.publisher import SyncPublisher
from fairlead.sync.replies import SyncReplies

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")


class SyncAsks:
    """As `fairlead.questions.asking.Asks`; many threads may wait at once."""

    def __init__(
        self,
        redis: Redis | SyncShards,
        names: Names,
        publisher: SyncPublisher,
        *,
        sender: str,
        timeout_seconds: float,
        durable_replicas: int = 0,
    ) -> None:
        self._shards = sync_shards_of(redis)
        self._names = names
        self._publisher = publisher
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._sure = sure(durable_replicas, timeout_seconds)

    def ask(self, question: Question) -> UserConfirmation:
        """As `fairlead.questions.asking.Asks.ask`."""
        with SyncReplies(self._shards, self._names) as replies:
            standing = self._drive(talks.opening(self._names, question, replies.address, self._sender))
            on_timeout = standing.asked["on_timeout"]
            if standing.state == "pending":
                standing = self._wait(standing, standing.left_seconds + self._timeout_seconds, replies)
            if standing.state == "pending":
                raise unknown_outcome(standing)
            return confirmation(standing, on_timeout)

    def begin(self, question: Question) -> Asked:
        """As `fairlead.questions.asking.Asks.begin`."""
        return asked(self._drive(talks.opening(self._names, question, "", self._sender)))

    def outcome(self, callback_id: str, wait_seconds: float = 0.0) -> UserConfirmation | None:
        """As `fairlead.questions.asking.Asks.outcome`."""
        standing = self._known(callback_id)
        on_timeout = standing.asked["on_timeout"]
        if standing.state == "pending" and wait_seconds > 0:
            with SyncReplies(self._shards, self._names) as replies:
                longest = standing.left_seconds + self._timeout_seconds
                standing = self._wait(standing, min(wait_seconds, longest), replies)
            if standing.state == "pending" and wait_seconds >= longest:
                raise unknown_outcome(standing)
        return None if standing.state == "pending" else confirmation(standing, on_timeout)

    def cancel(self, callback_id: str) -> bool:
        """As `fairlead.questions.asking.Asks.cancel`."""
        result, _ = self._drive(talks.closing(self._names, *split(callback_id)))
        return result == "accepted"

    def cancel_of_task(self, task_id: str) -> int:
        """As `fairlead.questions.asking.Asks.cancel_of_task`."""
        command = ("ZRANGE", self._names.asks(f"task:{task_id}"), 0, -1)
        (ids,) = patiently_sync(self._timeout_seconds, self._shards.ask, command)
        return sum(self._drive(talks.closing(self._names, id_.decode()))[0] == "accepted" for id_ in ids)

    # -- inside ----------------------------------------------------------------------------------

    def _known(self, callback_id: str) -> Standing:
        id_, secret = split(callback_id)
        look = asks.look(asks.record(self._names, id_), wholly=True)
        _, standing = asks.settled(id_, self._call(look))
        if standing is None or standing.secret != secret:
            raise NotFound("there is no such question, or it was over more than a day ago")
        return standing

    def _wait(self, standing: Standing, seconds: float, replies: SyncReplies) -> Standing:
        """How it stands when it is over, or after *seconds*."""
        look = asks.look(asks.record(self._names, standing.id))
        until = time.monotonic() + seconds
        deadline = time.monotonic() + standing.left_seconds + asks.MARGIN_SECONDS
        while True:
            found = self._look(standing, look)
            now = time.monotonic()
            if found is not None:
                return self._confirmed(standing, known(found), look)
            if now >= until:
                return standing
            replies.wait(min(until, deadline if deadline > now else until) - now)

    def _confirmed(self, standing: Standing, found: Standing, look: Call) -> Standing:
        """What was *found*, when as many servers as are needed have it."""
        return known(ended(standing, self._call(look)) or standing) if self._sure else found

    def _call(self, call: Call) -> Any:
        return patiently_sync(self._timeout_seconds, self._shards.run, *call, self._sure)

    def _look(self, standing: Standing, look: Call) -> Standing | None:
        try:
            return ended(standing, self._shards.run(*look))
        except (RedisError, OSError) as error:
            if not is_passing(error):
                raise Unavailable(f"redis refuses to say what became of the question: {error}") from error
            return None

    def _drive(self, talk: Talk[T]) -> T:
        try:
            step = next(talk)
            while True:
                try:
                    heard = self._do(step)
                except Unavailable as error:
                    step = talk.throw(error)
                else:
                    step = talk.send(heard)
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, step: Step) -> Heard:
        replies = [self._call(call) for call in step.calls]
        commands = [*step.commands, *(told(self._names, one, self._sender) for one in step.happened)]
        if commands:
            patiently_sync(self._timeout_seconds, self._shards.ask, *commands)
        fates = []
        for fate in self._publisher.publish_all(step.says) if step.says else ():
            if isinstance(fate, FairleadError):
                raise fate
            fates.append(fate)
        return Heard(replies, fates)
