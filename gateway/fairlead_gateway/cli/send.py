"""``fairlead send``: publish one message, as any backend would."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Final

import typer

from fairlead.errors import InvalidJson
from fairlead.names import checked_channel
from fairlead.publishing.acks import ACK_SECONDS
from fairlead.publishing.sent import Sent
from fairlead.sync.backend import SyncBackend, connect_sync
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.output import Json, Status, Trouble, say, say_json
from fairlead_gateway.settings import Settings

ENDS_WITH: Final = {
    "sent": Status.OK,
    "delivered": Status.OK,
    "expired": Status.NO,
    "failed": Status.UNAVAILABLE,
}
"""The exit status for each status of a receipt."""


def send(
    channel: Annotated[
        str, typer.Argument(metavar="CHANNEL", help="Where to: user:42, session:s1, topic:prices, broadcast …")
    ],
    message: Annotated[
        str, typer.Argument(metavar="MESSAGE", help='A JSON object with a "type"; - reads it from standard input.')
    ],
    message_id: Annotated[
        str | None, typer.Option("--id", help="Id of the message; one that was sent before is not sent again.")
    ] = None,
    ack: Annotated[
        bool, typer.Option("--ack", help="Wait until a client acknowledges it: status 0 if one does, 1 if none.")
    ] = False,
    ack_timeout: Annotated[float, typer.Option(help="Seconds to wait for that.")] = ACK_SECONDS,
    as_json: Json = False,
) -> Status:
    """Publish MESSAGE to CHANNEL through Redis, to whichever replicas have listeners."""
    checked_channel(channel)
    body = _parsed(sys.stdin.read() if message == "-" else message)
    settings, _ = reachable()
    with backend(settings) as fl:
        sent = fl.send(channel, body, message_id=message_id, requires_ack=ack, ack_timeout=ack_timeout)
    facts: dict[str, object] = {
        "id": sent.id,
        "channel": channel,
        "offset": sent.offset,
        "epoch": sent.epoch,
        "duplicate": sent.duplicate,
        "receivers": sent.receivers,
        "status": sent.status,
        "acknowledged_by": sent.acknowledged_by and sent.acknowledged_by._asdict(),
    }
    say_json(facts) if as_json else say(_told(facts) + _outcome(sent))
    return ENDS_WITH[sent.status]


def backend(settings: Settings) -> SyncBackend:
    """Our way to Redis, as *settings* describe it."""
    try:
        return connect_sync(
            settings.redis_url.get_secret_value(),
            prefix=settings.prefix,
            durable_replicas=settings.durable_replicas,
            durable=settings.durable,
            history_size=settings.history_size,
            history_ttl_seconds=settings.history_ttl_seconds,
        )
    except ValueError as error:
        raise Trouble(f"FAIRLEAD_REDIS_URL: {error}", Status.CONFIGURATION) from error


def _parsed(text: str) -> dict[str, object]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise InvalidJson(f"the message is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidJson('the message must be a JSON object, such as {"type":"hello"}')
    return body


def _told(facts: dict[str, object]) -> str:
    kept = f", kept at offset {facts['offset']}" if facts["offset"] else ""
    if facts["duplicate"]:
        return f"{facts['id']} was sent before{kept}; not sent again"
    heard = f"{facts['receivers']} replica(s) with listeners" if facts["receivers"] else "nobody is listening now"
    return f"sent {facts['id']} to {facts['channel']}: {heard}{kept}"


def _outcome(sent: Sent) -> str:
    """What became of it after that, as far as anybody asked."""
    if sent.status == "sent":
        return ""
    by = sent.acknowledged_by
    return f"; {sent.status}" + (f", acknowledged by {by.user_id} on connection {by.connection_id}" if by else "")
