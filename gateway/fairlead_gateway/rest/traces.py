"""``messages/{id}/trace``: where one message has passed, on whichever replicas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ConfigDict, Field

from fairlead.names import checked_channel
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.admin.traces import trace
from fairlead_gateway.rest.route import Asked, MessageId, Moment, Nothing, Params, Rows, View, row


class OfMessage(Params):
    """One message."""

    id: MessageId
    """Of the message; slashes in it may be percent-encoded or not."""
    channel: str = Field("", max_length=160)
    """Where it was said, if that is known, such as ``user:42``."""


class Step(View):
    """One station that a message has passed; what else is known of it stands beside these, by the station."""

    model_config = ConfigDict(frozen=True, extra="allow")

    at: Moment | None
    """By the clock of the replica; null where it is not known when."""
    station: str
    """``received``, ``forwarded``, ``published``, ``dropped``, ``relayed``, ``replayed``, ``acknowledged`` on a
    replica; ``waiting``, ``kept``, ``awaited``, ``acknowledged``, ``expired`` in Redis."""
    replica: str
    """``redis`` for what Redis remembers."""
    channel: str


class Trace(View):
    """The way of one message, the earliest step first."""

    id: str
    steps: list[Step]
    silent: list[str]
    """Replicas that did not answer in time: what passed there is not among the steps."""
    note: str
    """What this does not tell."""


async def trace_message(asked: Asked[OfMessage, Nothing]) -> Trace:
    """Where one message has passed, as replicas and Redis remember it."""
    id, channel = asked.params.id, asked.params.channel
    found = await trace(asked.api.surveys, asked.api.replica, id, checked_channel(channel) if channel else "")
    return Trace(id=id, steps=[_step(step) for step in found.steps], silent=found.silent, note=found.note)


def _step(step: dict[str, Any]) -> Step:
    at = None if step["at"] is None else datetime.fromtimestamp(step["at"], UTC)
    return Step.model_validate({**step, "at": at})


ROWS: Final[Rows] = (
    row("GET", "/messages/{id}/trace", Rank.VIEWER, trace_message, params=OfMessage, answer=Trace, is_wide=True),
)
