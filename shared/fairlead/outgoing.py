"""One message on its way to Redis, and what became of it."""

from __future__ import annotations

from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from fairlead.errors import FairleadError
from fairlead.publication import Reply, fate
from fairlead.redis.outage import ELSEWHERE, unavailable
from fairlead.sent import Fate


class Outgoing:
    """
    Knows whether it may be written (again).

    :param body: as `fairlead.publication.Publications` packs it.
    :param partition: of its channel.
    """

    __slots__ = ("body", "elsewhere", "fate", "id", "is_durable", "partition", "tries")

    def __init__(self, id: str, partition: int, body: bytes, is_durable: bool) -> None:
        self.id = id
        self.partition = partition
        self.body = body
        self.is_durable = is_durable
        self.tries = 0
        """How often it was written, so that Redis may have executed it."""
        self.fate: Fate | FairleadError | None = None
        self.elsewhere: ResponseError | None = None
        """What a node of a cluster said that could not take it, the last time it was written."""

    def is_wanted(self, is_late: bool) -> bool:
        """Whether it should be written now; if it must not be and has no answer yet, it fails."""
        if is_late or (self.tries and not self.is_durable):
            self.fail(None)
        return self.fate is None

    def write(self, evalsha: bytes) -> bytes:
        """What to write, for a server that knows the script by these words."""
        self.tries += 1
        self.elsewhere = None
        return evalsha + self.body if self.is_durable else self.body

    def hear(self, reply: Reply | ResponseError) -> bool:
        """
        Take the answer; false when Redis lacks the script. It may be that there is no fate yet, see `elsewhere`.

        :raises ReadOnlyError: Redis is not the master any more; nothing on this connection will succeed.
        """
        if not isinstance(reply, ResponseError):
            self.conclude(fate(reply, self.tries))
            return True
        self.tries -= 1
        if isinstance(reply, ReadOnlyError):
            raise reply
        if isinstance(reply, ELSEWHERE):
            self.elsewhere = reply
        elif not isinstance(reply, NoScriptError):
            self.fail(reply)
        return not isinstance(reply, NoScriptError)

    def fail(self, error: BaseException | None) -> None:
        """*error* was the last word; None for no answer in time."""
        if self.fate is None:
            self.conclude(unavailable(error, message_id=self.id, unknown=self.tries > 0))

    def conclude(self, fate: Fate | FairleadError) -> None:
        self.fate = fate
