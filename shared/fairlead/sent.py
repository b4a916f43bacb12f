"""What became of a message that was sent."""

from __future__ import annotations

from typing import NamedTuple, final

from fairlead.errors import Conflict, FairleadError


class Fate(NamedTuple):
    """What Redis said about one publish."""

    offset: int
    epoch: str
    duplicate: bool
    receivers: int


@final
class Sent:
    """
    The receipt of one message.

    Inside an open batch only `id` is known; the rest can be read when the batch has ended, and raises before.
    """

    __slots__ = ("_fate", "_id")

    def __init__(self, id: str, fate: Fate | FairleadError | None = None) -> None:
        self._id = id
        self._fate = fate

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
        return isinstance(other, Sent) and (self._id, self._fate) == (other._id, other._fate)

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        if not isinstance(self._fate, Fate):
            return f"Sent(id={self._id!r}, {self._fate or 'waiting'!r})"
        facts = ", ".join(f"{name}={value!r}" for name, value in self._fate._asdict().items())
        return f"Sent(id={self._id!r}, {facts})"
