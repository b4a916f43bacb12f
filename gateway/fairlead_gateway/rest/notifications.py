"""``notify`` and ``notifications``: something that a user should know, and whether it has arrived (NT-1, NT-2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from fairlead.backend.sends import service
from fairlead.errors import InvalidMessage, NotFound
from fairlead.format.messages import now, push
from fairlead.ids import uuid7
from fairlead.names import channel, is_id
from fairlead.publishing import acks
from fairlead.publishing.acks import MAX_ACK_SECONDS, Way
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.route import Asked, Body, Id, Moment, Nothing, Params, Rows, View, row
from fairlead_gateway.sessions.replica import Replica

if TYPE_CHECKING:
    from fairlead.pushes import Note, NotificationPush

WEBSOCKET: Final = "websocket"

CONFIGURED: Final = (WEBSOCKET,)
"""Channels that notifications can go through."""

Status = Literal["pending", "delivered", "expired"]


def _checked_url(url: str) -> str:
    """*url*, which a page may follow: http, https, or a path of its own; nothing that would run as a script."""
    is_path = url.startswith("/") and not url.startswith("//")
    if not re.search(r"[\s\\\x00-\x1f\x7f]", url):
        parts = urlsplit(url)
        if is_path or (parts.scheme in ("http", "https") and parts.hostname):
            return url
    raise ValueError("a URL that begins with http:// or https://, or a path that begins with /")


Line = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Url = Annotated[str, Field(max_length=2048), AfterValidator(_checked_url)]


class Notify(Body):
    """A notification."""

    user_id: Id
    title: Line
    message: str = Field(max_length=4096)
    type: Literal["info", "success", "warning", "error", "urgent"] = "info"
    action_url: Url | None = None
    """Where the user is led by it: http(s), or a path of the page that shows it."""
    auto_close: bool = False
    channels: list[str] = Field([WEBSOCKET], min_length=1, max_length=8)
    """Ways it goes; ``websocket`` is the one that is configured."""
    notification_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-.:@]{1,64}$")] | None = None
    """Makes it harmless to send it again, for as long as messages are kept."""


class Notified(View):
    """A notification on its way."""

    id: str
    """What to ask for it with."""
    channels: dict[str, Status]


class Delivery(View):
    """How far a notification has come in one channel."""

    channel: str
    status: Status
    at: Moment | None
    """When it was acknowledged."""
    connection_id: str | None
    device_id: str | None
    """Of what acknowledged it first."""
    expires_at: Moment
    """Until then an acknowledgement counts."""


class Notification(Notified):
    """A notification, and how far it has come."""

    user_id: str
    deliveries: list[Delivery]


class ById(Params):
    """One notification."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-.:@~]{1,256}$")]
    user_id: Id | None = None
    """Whom it is for; need not be said, as the id that was handed out tells it."""


async def notify(asked: Asked[Params, Notify]) -> Notified:
    """
    Notify a user.

    It is kept for who is away, as long as messages are; answered at once, while `GET notifications/{id}` tells whether
    a device has acknowledged it.
    """
    return await tell(asked.api, service(asked.identity.user_id), asked.body)


async def tell(api: Api, sender: str, body: Notify) -> Notified:
    """
    Notify a user in the name of *sender*.

    :raises InvalidMessage: it shall go a way that is not configured.
    """
    for name in body.channels:
        if name not in CONFIGURED:
            raise InvalidMessage(
                f"channels: {name[:64]} is not configured; there is {', '.join(CONFIGURED)}", configured=CONFIGURED
            )
    id, to = body.notification_id or uuid7(), channel("user", body.user_id)
    note: Note = {
        "id": id,
        "title": body.title,
        "message": body.message,
        "type": body.type,
        "action_url": body.action_url,
        "auto_close": body.auto_close,
        "timestamp": now(),
    }
    message: NotificationPush = {"type": "notification", "notification": note}
    envelope = push(message, to, sender=sender, message_id=id, requires_ack=True)
    await api.receipts.begin(to, envelope, min(MAX_ACK_SECONDS, api.replica.settings.history_ttl_seconds))
    way = await _way(api.replica, body.user_id, id)
    return Notified(id=f"{id}~{body.user_id}", channels={WEBSOCKET: way.status})


async def get_notification(asked: Asked[ById, Nothing]) -> Notification:
    """Tell how far a notification has come."""
    id, _, named = asked.params.id.partition("~")
    user_id = named or asked.params.user_id or ""
    if not is_id(user_id) or asked.params.user_id not in (None, user_id):
        raise NotFound("take the id that POST notify has answered, or say the user_id it is for as well")
    way = await _way(asked.api.replica, user_id, id)
    delivery = Delivery(
        channel=WEBSOCKET,
        status=way.status,
        at=_moment(way.at) if way.at else None,
        connection_id=way.by.connection_id if way.by else None,
        device_id=(way.by.device_id or None) if way.by else None,
        expires_at=_moment(way.deadline),
    )
    return Notification(id=f"{id}~{user_id}", user_id=user_id, channels={WEBSOCKET: way.status}, deliveries=[delivery])


async def _way(replica: Replica, user_id: str, id: str) -> Way:
    way = await replica.lane.look(acks.way(replica.names, channel("user", user_id), id))
    if way is None:
        raise NotFound("there is no such notification, or not any more")
    return way


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


ROWS: Final[Rows] = (
    row("POST", "/notify", Rank.OPERATOR, notify, body=Notify, answer=Notified, status=201),
    row(
        "GET",
        "/notifications/{id}",
        Rank.OPERATOR,
        get_notification,
        params=ById,
        answer=Notification,
        errors=("not_found",),
    ),
)
