"""Events: what happened on any replica, as it is written to the stream that backends read in groups (MSG-6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from fairlead.errors import InvalidMessage
from fairlead.format.codec import from_json
from fairlead.format.messages import now
from fairlead.streams.entries import moment, optional, text
from fairlead.tracing import current

if TYPE_CHECKING:
    from fairlead.names import Names
    from fairlead.redis.connection import Command
    from fairlead.streams.groups import Entry

KEPT: Final = 100_000
"""Events that are kept, whether or not anybody has read them."""

Done = TypeVar("Done", covariant=True)
"""What acknowledging gives: None, or something to await."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Generic[Done]):
    """Something that happened, at least once: the same `id` may come again."""

    name: str
    """Such as ``user_connected``."""
    facts: Mapping[str, Any]
    """What is known of it: ``user_id``, ``connection_id``, …; by the name of the event."""
    id: str
    replica: str
    """Where it happened; ``service:<name>`` for what a backend did."""
    at: datetime
    deliveries: int
    """How often it was given to a consumer of this group before."""
    traceparent: str
    """Of the span in which it happened, for `fairlead.tracing.continued`; empty where nobody traced it."""
    _acknowledge: Callable[[], Done] = field(repr=False)

    def ack(self) -> Done:
        """Acknowledge it now; otherwise that is done when the loop asks for the next one."""
        return self._acknowledge()


def written(names: Names, name: str, facts: bytes, *, id: str, replica: str, kept: int = KEPT) -> Command:
    """
    The command that writes an event; written twice under the same *id*, consumers can tell.

    :param facts: a JSON object.
    """
    fields: Command = ("event", name, "facts", facts, "replica", replica, "at", now(), "id", id)
    if traceparent := current():
        fields = (*fields, "traceparent", traceparent)
    return ("XADD", names.events, "MAXLEN", "~", kept, "*", *fields)


def read(entry: Entry, acknowledge: Callable[[], Done]) -> Event[Done]:
    """
    The event in *entry*.

    :raises FairleadError: there is none; whoever can write to Redis may have written anything.
    """
    fields = entry.fields or {}
    facts = from_json(text(fields, b"facts"))
    if not isinstance(facts, dict):
        raise InvalidMessage("facts must be a JSON object")
    return Event(
        name=text(fields, b"event"),
        facts=facts,
        id=text(fields, b"id"),
        replica=text(fields, b"replica"),
        at=moment(fields, b"at"),
        deliveries=entry.deliveries,
        traceparent=optional(fields, b"traceparent"),
        _acknowledge=acknowledge,
    )
