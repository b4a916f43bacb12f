"""``fairlead listen``: a client on a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from fairlead.names import checked_channel, id_of, kind_of
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.output import Json, Status, Trouble, note, say, say_json
from fairlead_gateway.cli.token import everything, signed
from fairlead_gateway.preflight import is_loopback

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

SUBPROTOCOL: Final = "fairlead.v1.json"
OPEN_SECONDS: Final = 10.0
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024

_REFUSALS: Final = range(4400, 4500)
_REFUSED_STATUSES: Final = (401, 403, 429)


def listen(
    user: Annotated[str, typer.Option(help="Whom to listen as; a token is made with the configured secret.")] = "",
    token: Annotated[str, typer.Option(help="A token to use instead.")] = "",
    channel: Annotated[list[str], typer.Option(help="More to listen to: session:s1, topic:prices …")] = [],  # noqa: B006
    url: Annotated[str, typer.Option(help="WebSocket address of a gateway.")] = "",
    count: Annotated[int, typer.Option(min=0, help="End after this many messages; 0 for no end.")] = 0,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for them, else status 1; 0 for ever.")] = 0,
    ack: Annotated[bool, typer.Option(help="Acknowledge what asks for it.")] = True,
    as_json: Json = False,
) -> Status:
    """Connect as a user and print every frame that arrives, until Ctrl-C."""
    channels = [checked_channel(name) for name in channel]
    settings, server = reachable()
    if not (user or token):
        raise Trouble("say whom to listen as: --user 42, or --token", Status.USAGE)
    token = token or signed(settings, everything(user, settings))
    address = url or (server.urls[0] if server else f"ws://{settings.host}:{settings.port}/ws")
    try:
        return _listen(address, token, channels, count, timeout or None, ack, as_json)
    except KeyboardInterrupt:
        return Status.INTERRUPTED


def _listen(
    url: str, token: str, channels: list[str], count: int, timeout: float | None, acknowledges: bool, as_json: bool
) -> Status:
    # Here, not above: only this command is a WebSocket client.
    from websockets.exceptions import ConnectionClosed

    tell = say_json if as_json else _tell
    with _connected(url, token) as socket:
        try:
            for action in actions(channels):
                socket.send(json.dumps(action))
            for frame in _frames(socket, count, timeout):
                tell(frame)
                if acknowledges and frame.get("requires_ack"):
                    socket.send(json.dumps(acknowledgement(frame)))
        except TimeoutError:
            return Status.NO
        except ConnectionClosed as end:
            raise Trouble(*_ended(end.rcvd.code if end.rcvd else 1006, end.rcvd.reason if end.rcvd else "")) from end
    return Status.OK


def actions(channels: list[str]) -> list[dict[str, Any]]:
    """What to say after connecting, to hear *channels*."""
    sessions = [name for name in channels if kind_of(name) == "session"]
    others = [name for name in channels if kind_of(name) not in ("session", "user", "broadcast")]
    wishes: list[dict[str, Any]] = [{"action": "join_session", "session_id": id_of(name)} for name in sessions]
    if others:
        wishes.append({"action": "subscribe", "channels": others})
    return [wish | {"id": str(number)} for number, wish in enumerate(wishes, 1)]


def acknowledgement(frame: Mapping[str, Any]) -> dict[str, Any]:
    """What to say when *frame* has arrived and asks for it."""
    return {"action": "ack", "channel": frame["channel"], "message_ids": [frame["id"]]}


def _connected(url: str, token: str) -> ClientConnection:
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
    from websockets.sync.client import connect

    try:
        return connect(
            url,
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            open_timeout=OPEN_SECONDS,
            max_size=MAX_FRAME_BYTES,
            proxy=None if is_loopback(urlsplit(url).hostname or "") else True,
        )
    except InvalidURI as error:
        raise Trouble(f"{url} is not a WebSocket address such as ws://127.0.0.1:8000/ws", Status.USAGE) from error
    except InvalidStatus as error:
        number = error.response.status_code
        status = Status.REFUSED if number in _REFUSED_STATUSES else Status.UNAVAILABLE
        raise Trouble(f"{url} answered {number} in place of a WebSocket", status) from error
    except (OSError, InvalidHandshake) as error:
        raise Trouble(f"cannot connect to {url}: {error or type(error).__name__}", Status.UNAVAILABLE) from error


def _frames(socket: ClientConnection, count: int, timeout: float | None) -> Iterator[Mapping[str, Any]]:
    """Frames as they come; *count* is of messages: not of replies, nor of what is told about ourselves."""
    deadline = time.monotonic() + timeout if timeout else None
    ourselves, messages = "", 0
    while not count or messages < count:
        frame = json.loads(socket.recv(max(0.0, deadline - time.monotonic()) if deadline else None))
        if frame.get("type") == "connection_established":
            ourselves = frame["connection_id"]
        messages += "ref" not in frame and frame.get("connection_id") != ourselves
        yield frame


def _tell(frame: Mapping[str, Any]) -> None:
    kind = str(frame.get("type", "?"))
    if kind == "connection_established":
        note(f"connected to replica {frame.get('replica')} as {frame.get('user_id')} ({frame.get('connection_id')})")
    elif kind == "error":
        note(f"{frame.get('code')}: {frame.get('message')}")
    elif "ref" not in frame:
        rest = {name: value for name, value in frame.items() if name not in ("type", "id", "timestamp")}
        say(f"{kind}  {json.dumps(rest, ensure_ascii=False)}")


def _ended(code: int, reason: str) -> tuple[str, Status]:
    status = Status.REFUSED if code in _REFUSALS else Status.UNAVAILABLE
    return f"the gateway ended the connection: {code} {reason}".rstrip(), status
