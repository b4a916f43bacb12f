"""``fairlead listen``: a client on a terminal."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fairlead.errors import FairleadError, InvalidMessage
from fairlead.names import checked_channel, id_of, kind_of
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.output import Json, Status, Trouble, note, say, say_json
from fairlead_gateway.cli.token import everything, signed

if TYPE_CHECKING:
    from fairlead import Client, StateChange

Frame = dict[str, Any]

_REFUSALS: Final = range(4400, 4500)
_REFUSED_STATUSES: Final = ("401", "403", "429")

_OF_ITSELF: Final = ("ack", "connect", "list_confirms", "ping")
"""What the client says without being asked to; the answers are nobody's business."""

_NO_MESSAGES: Final = ("connection_established", "reply", "error", "pong", "skipped", "epoch_changed")


def listen(
    user: Annotated[str, typer.Option(help="Whom to listen as; a token is made with the configured secret.")] = "",
    token: Annotated[str, typer.Option(help="A token to use instead.")] = "",
    channel: Annotated[list[str], typer.Option(help="More to listen to: session:s1, topic:prices …")] = [],  # noqa: B006
    url: Annotated[str, typer.Option(help="WebSocket address of a gateway.")] = "",
    count: Annotated[int, typer.Option(min=0, help="End after this many messages; 0 for no end.")] = 0,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for them, else status 1; 0 for ever.")] = 0,
    patience: Annotated[float, typer.Option(min=0, help="Seconds that a gateway may be away that was there.")] = 10,
    ack: Annotated[bool, typer.Option(help="Acknowledge what asks for it.")] = True,
    as_json: Json = False,
) -> Status:
    """
    Connect as a user and print every frame that arrives, until Ctrl-C.

    A gateway that ends the connection is come back to, and what was missed is shown.
    """
    channels = [checked_channel(name) for name in channel]
    settings, server = reachable()
    if not (user or token):
        raise Trouble("say whom to listen as: --user 42, or --token", Status.USAGE)
    token = token or signed(settings, everything(user, settings))
    address = url or (server.urls[0] if server else f"ws://{settings.host}:{settings.port}/ws")
    listening = Listening(say_json if as_json else _tell, count, patience)
    try:
        return asyncio.run(listening.listen(address, token, channels, timeout or None, acknowledges=ack))
    except KeyboardInterrupt:
        return Status.INTERRUPTED


class Listening:
    """
    What becomes of a connection, and when to stop.

    :param tell: shows a frame.
    :param count: of messages to end after, 0 for no end: not of replies, nor of what is told about ourselves.
    :param patience: seconds that a gateway may be away that was there.
    """

    def __init__(self, tell: Callable[[Frame], None], count: int, patience: float) -> None:
        self._tell = tell
        self._left = count
        self._patience = patience
        self._over = asyncio.Event()
        self._trouble: Trouble | None = None
        self._was_open = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._unasked: set[str] = set()

    async def listen(
        self, url: str, token: str, channels: list[str], timeout: float | None, *, acknowledges: bool
    ) -> Status:
        """
        Show what arrives.

        :param timeout: seconds until it is no that is answered; None for ever.
        :raises Trouble: there is no connection (any more).
        """
        # Here, not above: only this command is a WebSocket client.
        from fairlead import Client

        try:
            client = Client(url, token=token, auto_ack=acknowledges)
        except InvalidMessage as error:
            raise Trouble(error.message, Status.USAGE) from error
        client.on_state(self._changed)
        client.on_frame(self._passed)
        client.on("*", lambda message: self._heard(client, message))
        connecting = asyncio.create_task(client.connect())
        try:
            await self._until_over(client, connecting, channels, timeout)
        except TimeoutError:
            return Status.NO
        finally:
            if self._giving_up is not None:
                self._giving_up.cancel()
            await client.close()
            await asyncio.gather(connecting, return_exceptions=True)
        if self._trouble is not None:
            raise self._trouble
        return Status.OK

    async def _until_over(
        self, client: Client, connecting: asyncio.Task[None], channels: list[str], timeout: float | None
    ) -> None:
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait([connecting, over], return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(timeout):
                if not over.done():
                    await self._ask_for(client, channels)
                await over
        finally:
            over.cancel()

    async def _ask_for(self, client: Client, channels: list[str]) -> None:
        for wish in wishes(channels):
            try:
                await client.request(wish["action"], wish)
            except FairleadError as error:
                # Of the gateway: the frame has told it.
                if error.code in ("timeout", "too_many"):
                    note(f"{error.code}: {error.message}")

    # -- what happens ------------------------------------------------------------------------------

    def _changed(self, change: StateChange) -> None:
        if change.state == "open":
            self._was_open = True
            if self._giving_up is not None:
                self._giving_up.cancel()
                self._giving_up = None
        elif (change.state == "stopped" and change.word != "closed") or (
            change.state == "waiting" and not self._was_open
        ):
            self._end(_ended(change))
        elif change.state == "waiting" and self._giving_up is None:
            note(f"{_ended(change)}; coming back")
            loop = asyncio.get_running_loop()
            self._giving_up = loop.call_later(self._patience, self._end, _ended(change))

    def _end(self, trouble: Trouble) -> None:
        self._trouble = self._trouble or trouble
        self._over.set()

    def _passed(self, way: str, frame: Frame) -> None:
        """A frame goes over the wire: what is no message is told here."""
        if way == "out":
            if frame.get("action") in _OF_ITSELF and "id" in frame:
                self._unasked.add(frame["id"])
        elif frame.get("ref") in self._unasked:
            self._unasked.discard(frame["ref"])
        elif frame.get("type") in _NO_MESSAGES and not frame.get("late") and not self._over.is_set():
            self._tell(frame)

    def _heard(self, client: Client, message: Frame) -> None:
        if self._over.is_set():
            return
        self._tell(message)
        if self._left and message.get("connection_id") != client.connection_id:
            self._left -= 1
            if not self._left:
                self._over.set()


def wishes(channels: list[str]) -> list[Frame]:
    """What to ask after connecting, to hear *channels*."""
    sessions = [name for name in channels if kind_of(name) == "session"]
    others = [name for name in channels if kind_of(name) not in ("session", "user", "broadcast")]
    asked: list[Frame] = [{"action": "join_session", "session_id": id_of(name)} for name in sessions]
    if others:
        asked.append({"action": "subscribe", "channels": others})
    return [wish | {"id": str(number)} for number, wish in enumerate(asked, 1)]


def _tell(frame: Frame) -> None:
    kind = str(frame.get("type", "?"))
    if kind == "connection_established":
        note(f"connected to replica {frame.get('replica')} as {frame.get('user_id')} ({frame.get('connection_id')})")
    elif kind == "error" and "channel" not in frame:
        note(f"{frame.get('code')}: {frame.get('message')}")
    elif "ref" not in frame and kind != "skipped":
        rest = {name: value for name, value in frame.items() if name not in ("type", "id", "timestamp")}
        say(f"{kind}  {json.dumps(rest, ensure_ascii=False)}")


def _ended(change: StateChange) -> Trouble:
    """Why there is no connection, or no longer."""
    if change.text.startswith("cannot connect"):
        answered = re.search(r"HTTP (\d{3})", change.text)
        refused = answered is not None and answered[1] in _REFUSED_STATUSES
        return Trouble(change.text, Status.REFUSED if refused else Status.UNAVAILABLE)
    status = Status.REFUSED if change.code in _REFUSALS else Status.UNAVAILABLE
    told = f"{change.word}: {change.text}" if change.text else change.word
    return Trouble(f"the gateway ended the connection: {change.code} {told}", status)
