"""One message on its way to Redis, and what became of it."""

from __future__ import annotations

from collections.abc import Callable

from redis.exceptions import NoScriptError, ResponseError

from fairlead.errors import FairleadError
from fairlead.publishing.forms import Form, Reply, fate
from fairlead.publishing.sent import Fate
from fairlead.redis.outage import ELSEWHERE, TooFewCopies, is_passing, unavailable


class Outgoing:
    """
    Knows whether it may be written (again).

    :param body: as `fairlead.publishing.publication.Publications` packs it.
    :param partition: of its channel.
    :param form: of what may be written again; None for what is ephemeral.
    """

    __slots__ = ("body", "elsewhere", "fate", "form", "id", "partition", "stored", "tries")

    def __init__(self, id: str, partition: int, body: bytes, form: Form | None) -> None:
        self.id = id
        self.partition = partition
        self.body = body
        self.form = form
        self.tries = 0
        """How often it was written, so that Redis may have executed it."""
        self.fate: Fate | FairleadError | None = None
        self.elsewhere: ResponseError | None = None
        """What a node of a cluster said that could not take it, the last time it was written."""
        self.stored: Fate | None = None
        """What Redis said of a message that replicas have yet to confirm."""

    def is_wanted(self, is_late: bool, error: BaseException | None = None) -> bool:
        """Whether it should be written now; if it must not be and has no answer yet, it fails, because of *error*."""
        if is_late or (self.tries and self.form is None):
            self.fail(error)
        return self.fate is None

    def write(self, words: Callable[[Form], bytes]) -> bytes:
        """What to write, for a server that knows forms by these words."""
        self.tries += 1
        self.elsewhere = None
        return self.body if self.form is None else words(self.form) + self.body

    def hear(self, reply: Reply | ResponseError, needs_copies: bool = False) -> bool:
        """
        Take the answer; false when Redis lacks the script. It may be that there is no fate yet, see `elsewhere`.

        :param needs_copies: a durable message is only `stored` by this, and concluded by `copied`.
        :raises ResponseError: the server takes no writes now: it is not the master any more, or lacks replicas.
        """
        if not isinstance(reply, ResponseError):
            answer = fate(reply) if self.form is None else self.form.read(reply, self.tries)
            if needs_copies and self.form is not None and not isinstance(answer, FairleadError):
                self._store(answer)
            else:
                self.conclude(answer)
            return True
        self.tries -= 1
        if isinstance(reply, ELSEWHERE):
            self.elsewhere = reply
        elif is_passing(reply):
            raise reply
        elif not isinstance(reply, NoScriptError):
            self.fail(reply)
        return not isinstance(reply, NoScriptError)

    def copied(self) -> None:
        """Enough replicas have what was stored."""
        if self.stored is not None and self.fate is None:
            self.conclude(self.stored)

    def fail(self, error: BaseException | None) -> None:
        """*error* was the last word; None for no answer in time."""
        if self.fate is None:
            self.conclude(unavailable(self._reason(error), message_id=self.id, unknown=self.tries > 0))

    def conclude(self, fate: Fate | FairleadError) -> None:
        self.fate = fate

    def _reason(self, error: BaseException | None) -> BaseException | None:
        """A stored message lacks copies, whatever else came to pass; one that was not stored does not lack them."""
        if self.stored is None:
            return None if isinstance(error, TooFewCopies) else error
        return TooFewCopies() if error is None or is_passing(error) else error

    def _store(self, answer: Fate) -> None:
        """Keep the first answer if *answer* only repeats it: that one knew who heard the message."""
        if self.stored is None or self.stored[:2] != answer[:2]:
            self.stored = answer
