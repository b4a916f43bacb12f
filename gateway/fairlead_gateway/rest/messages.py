"""``broadcast``, ``messages`` and ``patch``: what backends without the Python package send, and what was sent."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from fairlead.errors import Unavailable
from fairlead.format.messages import checked_message_id
from fairlead.format.past import MAX_PAGE, PAGE, ensure_kept
from fairlead.names import BROADCAST, channel
from fairlead.publishing.sent import Sent, Status
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.facts.history import told
from fairlead_gateway.rest.route import Asked, Body, Id, Nothing, Params, Rows, View, row
from fairlead_gateway.rest.speaking import Speaking
from fairlead_gateway.rest.waiting import MAX_SECONDS, patiently

MessageId = Annotated[str, Field(min_length=1, max_length=128)]


class ById(Params):
    """One user, or session."""

    id: Id


class Before(ById):
    """A page of what a session has said."""

    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)
    """Messages at most; fewer where they are large."""
    before: int | None = Field(None, ge=1, lt=2**53)
    """Only messages with a smaller offset; without it the newest."""


class ByName(Params):
    """One instance."""

    name: Id


class Saying(Body):
    """A message."""

    message: dict[str, Any]
    """At least a ``type``; ``content``, ``metadata`` and whatever else clients are to get go through as they are."""
    message_id: MessageId | None = None
    """Makes it harmless to send it again, by whichever replica; not so a broadcast, which is not kept."""
    requires_ack: bool = False
    """Whether clients are to acknowledge it; then the answer comes when one has, or nobody will."""
    ack_timeout: float = Field(5.0, gt=0, le=MAX_SECONDS)
    """Seconds to wait for the first acknowledgement."""

    @property
    def patience(self) -> float:
        return self.ack_timeout if self.requires_ack else 0.0


class Patching(Body):
    """A change of an instance's document."""

    patch: dict[str, Any]
    """New values by dotted path."""
    unset: list[str] = Field(default_factory=list)
    """Paths that are to be gone."""
    patch_id: str | int | None = None
    """The same id changes nothing the second time."""
    base_version: int | None = None
    """Refuse with 409 if the instance is at another version by now."""


class Receipt(View):
    """What became of a message."""

    id: str
    offset: int
    epoch: str
    duplicate: bool
    """Whether it was sent before; then offset and epoch are those of the first time."""
    receivers: int
    """Replicas that had a connection for it at that moment."""
    status: Status
    """``sent`` where no acknowledgement was asked for."""


class Changed(Receipt):
    """What became of a change."""

    version: int
    """Of the state, since then."""


class Past(View):
    """A page of what a session has said, as far as it is kept."""

    messages: list[dict[str, Any]]
    """The oldest first, each as clients got it, with its ``offset``."""
    offset: int
    """Where the session stands."""
    epoch: str
    """Of all these offsets; empty where nothing was said."""
    more: bool
    """Whether older ones are kept."""
    before: int
    """What to ask with for these."""


async def broadcast(asked: Asked[Params, Saying]) -> Receipt:
    """Send to everybody who is connected at this moment."""
    return await _say(asked, BROADCAST)


async def send_to_user(asked: Asked[ById, Saying]) -> Receipt:
    """Send to every device of a user, now or when it comes back."""
    return await _say(asked, channel("user", asked.params.id))


async def send_to_session(asked: Asked[ById, Saying]) -> Receipt:
    """Send to the members of a session."""
    return await _say(asked, channel("session", asked.params.id))


async def list_messages(asked: Asked[Before, Nothing]) -> Past:
    """What a session has said last, or before an offset, with its content."""
    replica, params = asked.api.replica, asked.params
    name = channel("session", params.id)
    ensure_kept(name, replica.publisher.is_durable(name))
    return Past(**told(await replica.history.page(name, params.limit, params.before))._asdict())


async def patch_instance(asked: Asked[ByName, Patching]) -> Changed:
    """Change an instance's document before the eyes of its watchers."""
    body = asked.body
    sending = Speaking(asked).send_patch(
        asked.params.name, body.patch, body.patch_id, body.base_version, unset=body.unset
    )
    return changed(await sending)


def receipt(sent: Sent) -> Receipt:
    """*sent*, as it is told."""
    return Receipt(id=sent.id, status=sent.status, **_facts(sent))


def changed(sent: Sent) -> Changed:
    """*sent*, which changed a state, as it is told."""
    return Changed(id=sent.id, status=sent.status, version=sent.version, **_facts(sent))


def _facts(sent: Sent) -> dict[str, Any]:
    return {name: getattr(sent, name) for name in ("offset", "epoch", "duplicate", "receivers")}


async def _say(asked: Asked[Any, Saying], to: str) -> Receipt:
    body, speaking = asked.body, Speaking(asked)
    message = speaking.checked(body.message)
    if not body.requires_ack:
        return receipt(await speaking.send(to, message, message_id=body.message_id))
    id = checked_message_id(message.get("id") if body.message_id is None else body.message_id)
    sending = speaking.send(to, message, message_id=id, requires_ack=True, ack_timeout=body.ack_timeout)
    sent = await patiently(asked, sending)
    if sent is None:
        raise Unavailable(f"this replica leaves; send it again as message_id {id} to learn what becomes of it", id=id)
    return receipt(sent)


ROWS: Final[Rows] = (
    row("POST", "/broadcast", Rank.OPERATOR, broadcast, body=Saying, answer=Receipt),
    row("POST", "/users/{id}/messages", Rank.OPERATOR, send_to_user, params=ById, body=Saying, answer=Receipt),
    row("POST", "/sessions/{id}/messages", Rank.OPERATOR, send_to_session, params=ById, body=Saying, answer=Receipt),
    row("GET", "/sessions/{id}/messages", Rank.ADMIN, list_messages, params=Before, answer=Past),
    row(
        "POST",
        "/instances/{name}/patch",
        Rank.OPERATOR,
        patch_instance,
        params=ByName,
        body=Patching,
        answer=Changed,
        errors=("conflict",),
    ),
)
