"""What became of a message that was sent."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, final

from fairlead.errors import Conflict, FairleadError


class Fate(NamedTuple):
    """What Redis said about one publish."""

    offset: int
    epoch: str
    duplicate: bool
    receivers: int
    version: int = 0
    is_due: bool = False
    """Whether the state that was changed is to be folded now, by who changed it."""


Status: TypeAlias = Literal["sent", "delivered", "expired", "failed"]
"""``sent`` when no acknowledgement was asked for; otherwise what `Sent.status` says."""


class Acknowledger(NamedTuple):
    """The connection that was the first to acknowledge a message."""

    user_id: str
    device_id: str
    """Empty for a device that did not say which it is."""
    connection_id: str


class Outcome(NamedTuple):
    """What is known of a message's way to clients."""

    status: Status
    by: Acknowledger | None = None


NOT_AGAIN: Final = Fate(0, "", True, 0)
"""Of an ephemeral message that was not published again, since what became of it is known."""

SENT: Final = Outcome("sent")
"""Of a message that nobody was asked to acknowledge."""


@final
class Sent:
    """
    The receipt of one message.

    Inside an open batch only `id` is known; the rest can be read when the batch has ended, and raises before.
    """

    __slots__ = ("_fate", "_id", "_outcome")

    def __init__(self, id: str, fate: Fate | FairleadError | None = None, outcome: Outcome = SENT) -> None:
        self._id = id
        self._fate = fate
        self._outcome = outcome

    @property
    def fate(self) -> Fate:
        """All that Redis said, at once."""
        return self._known()

    @property
    def id(self) -> str:
        """Id of the message, as clients see it; sending with it again is harmless on durable channels."""
        return self._id

    @property
    def offset(self) -> int:
        """Position in the channel, growing by one; 0 on ephemeral channels."""
        return self._known().offset

    @property
    def epoch(self) -> str:
        """Which run of offsets the position belongs to; empty on ephemeral channels."""
        return self._known().epoch

    @property
    def duplicate(self) -> bool:
        """Whether the id was published before; then offset and epoch are those of the first time."""
        return self._known().duplicate

    @property
    def receivers(self) -> int:
        """Replicas that held a socket for the channel at that moment; 0 for a duplicate."""
        return self._known().receivers

    @property
    def version(self) -> int:
        """Of the state that it changed, as it is since; 0 for messages that change none."""
        return self._known().version

    @property
    def status(self) -> Status:
        """
        ``sent``, or for a message that requires an acknowledgement: ``delivered`` when somebody acknowledged it in
        time, ``expired`` when nobody did, ``failed`` when Redis could not tell; then send again with the same id.
        """
        self._known()
        return self._outcome.status

    @property
    def acknowledged_by(self) -> Acknowledger | None:
        """Who acknowledged it first, if it is ``delivered``."""
        self._known()
        return self._outcome.by

    def settle(self, fate: Fate | FairleadError) -> None:
        """Write down what became of it; once, by who sent it."""
        if isinstance(self._fate, Fate):
            raise Conflict(f"message {self._id} has been settled")
        self._fate = fate

    def _known(self) -> Fate:
        if isinstance(self._fate, Fate):
            return self._fate
        if self._fate is not None:
            raise self._fate
        raise Conflict(f"message {self._id} waits for the end of its batch")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sent) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        if not isinstance(self._fate, Fate):
            return f"Sent(id={self._id!r}, {self._fate or 'waiting'!r})"
        facts = ", ".join(f"{name}={value!r}" for name, value in self._fate._asdict().items() if name != "is_due")
        return f"Sent(id={self._id!r}, {facts}, status={self.status!r})"

    def _facts(self) -> tuple[object, ...]:
        return self._id, self._fate, self._outcome
