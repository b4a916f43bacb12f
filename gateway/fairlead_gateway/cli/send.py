"""``fairlead send``: publish one message, as any backend would."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from fairlead.errors import InvalidJson
from fairlead.names import checked_channel
from fairlead.sync import SyncBackend, connect_sync
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.output import Json, Status, Trouble, say, say_json
from fairlead_gateway.settings import Settings


def send(
    channel: Annotated[str, typer.Argument(help="Where to: user:42, session:s1, topic:prices, broadcast …")],
    message: Annotated[str, typer.Argument(help='A JSON object with a "type"; - reads it from standard input.')],
    message_id: Annotated[
        str | None, typer.Option("--id", help="Id of the message; one that was sent before is not sent again.")
    ] = None,
    as_json: Json = False,
) -> Status:
    """Publish MESSAGE to CHANNEL through Redis, to whichever replicas have listeners."""
    checked_channel(channel)
    body = _parsed(sys.stdin.read() if message == "-" else message)
    settings, _ = reachable()
    with _backend(settings) as backend:
        sent = backend.send(channel, body, message_id=message_id)
    facts = {
        "id": sent.id,
        "channel": channel,
        "offset": sent.offset,
        "epoch": sent.epoch,
        "duplicate": sent.duplicate,
        "receivers": sent.receivers,
    }
    say_json(facts) if as_json else say(_told(facts))
    return Status.OK


def _backend(settings: Settings) -> SyncBackend:
    try:
        return connect_sync(
            settings.redis_url.get_secret_value(),
            prefix=settings.prefix,
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
