"""One WebSocket to a gateway: frames go in and come out; the only station that knows the library ``websockets``."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from fairlead.client.address import is_here, shown, waiting
from fairlead.client.told import LOST, End, Ended, Frame, end_of
from fairlead.errors import InvalidMessage
from fairlead.format.codec import from_json, from_msgpack, to_msgpack

try:
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
    from websockets.typing import Subprotocol
except ImportError as error:
    raise ImportError("fairlead.Client needs the library websockets: pip install 'fairlead[client]'") from error

JSON: Final = "fairlead.v1.json"
MSGPACK: Final = "fairlead.v1.msgpack"

CLOSE_SECONDS: Final = 1.0
"""How long the other side has to answer our close."""

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024

AROUND: Final = 2
"""Levels that a reply has around messages, each of which may be as deep as messages are."""

MAX_INBOX: Final = 1_000
"""Frames that are read ahead, before the network is made to wait."""

MAX_OUTBOX: Final = 1_000
"""Frames that may wait for a slow network; requests have a bound of their own."""


_LOG: Final = logging.getLogger("fairlead.client.socket")
"""What the library says; not every byte, since tokens are among them."""
_LOG.setLevel(logging.INFO)


class _Way(connect):
    """One that leads where it was said: who redirects us is not to have our token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Socket:
    """An open connection; whoever has it hears until `Ended`, and lets go of it."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._outbox: deque[bytes] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._why: End | None = None

    @classmethod
    async def open(cls, url: str, token: str, *, msgpack: bool, waits: bool) -> Socket:
        """
        Connect to *url*; limit the time from outside.

        :param waits: whether a first frame will say who we are and where we stand.
        :raises Ended: there is nobody, or something else than a gateway.
        """
        address = waiting(url) if waits else url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection = await _Way(
                address,
                logger=_LOG,
                additional_headers=headers,
                subprotocols=[Subprotocol(MSGPACK if msgpack else JSON)],
                open_timeout=None,
                ping_interval=None,
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_FRAME_BYTES,
                max_queue=MAX_INBOX,
                proxy=None if is_here(address) else True,
            )
        except (OSError, WebSocketException) as error:
            raise Ended(End(LOST, "lost", f"cannot connect to {shown(url)}: {_why(error)}")) from error
        return cls(connection)

    # -- speaking ----------------------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        """Send a frame that is JSON, behind those before it, without waiting."""
        self._outbox.append(data)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="fairlead client writing")

    @property
    def is_congested(self) -> bool:
        """Whether so much waits to be sent that no more should be said that can be left out."""
        return len(self._outbox) >= MAX_OUTBOX

    async def _write(self) -> None:
        speaks_msgpack = self._connection.subprotocol == MSGPACK
        try:
            while self._outbox:
                data = self._outbox.popleft()
                await self._connection.send(to_msgpack(from_json(data)) if speaks_msgpack else data.decode())
        except ConnectionClosed:
            # Whoever hears learns it, too.
            self._outbox.clear()
        finally:
            self._writer = None

    # -- hearing -----------------------------------------------------------------------------------

    async def hear(self) -> Frame:
        """
        The next frame.

        :raises Ended: there will be none.
        :raises InvalidJson: what came cannot be read.
        """
        if self._why is not None:
            # What has come already will come again, if it matters.
            raise Ended(self._why)
        try:
            data = await self._connection.recv()
        except ConnectionClosed as error:
            raise Ended(self._why or _end(error)) from error
        frame = from_json(data, around=AROUND) if isinstance(data, str) else from_msgpack(data, around=AROUND)
        if isinstance(frame, dict):
            return frame
        raise InvalidMessage("the gateway sent something that is no map")

    # -- the end -----------------------------------------------------------------------------------

    def abort(self, end: End) -> None:
        """Let go of it now, whatever the other side does; who hears is told *end*."""
        self._why = self._why or end
        self._outbox.clear()
        self._connection.transport.abort()

    async def close(self) -> None:
        """Say 1000, and wait for the answer for a moment."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._writer is not None and self._why is None:
                    await asyncio.wait([self._writer])
                await self._connection.close()
        except TimeoutError:
            pass
        finally:
            await self.release()

    async def release(self) -> None:
        """Leave nothing behind."""
        self.abort(End(LOST, "lost"))
        if (writer := self._writer) is not None:
            writer.cancel()
            await asyncio.wait([writer])


def _why(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code} in place of a WebSocket"
    return str(error) or type(error).__name__


def _end(error: ConnectionClosed) -> End:
    if error.rcvd is None:
        return End(LOST, "lost", "the connection broke")
    return end_of(error.rcvd.code, error.rcvd.reason)
