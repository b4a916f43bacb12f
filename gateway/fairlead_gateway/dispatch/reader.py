"""The ear: one pub/sub connection to Redis as a bare protocol over hiredis, which coalesces by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast

import hiredis

Heard = dict[bytes, list[bytes]]
"""Payloads by Redis channel, each list in the order of publishing."""

_MESSAGES: Final = frozenset((b"message", b"smessage"))
_CONFIRMATIONS: Final = frozenset((b"subscribe", b"ssubscribe"))
_ENDS: Final = frozenset((b"unsubscribe", b"sunsubscribe"))
BATCH: Final = 512
"""Most channels in one SUBSCRIBE, so that a resubscription does not hold up everybody else's commands."""


class RedisReader(asyncio.Protocol):
    """
    Reads what Redis publishes. One read from the socket yields many messages; they are handed on as one batch.

    redis-py's own loop costs 26 us a message and hides reconnections; this costs about one and hides nothing.
    """

    def __init__(
        self,
        heard: Callable[[Heard], None],
        confirmed: Callable[[bytes], None],
        ended: Callable[[bytes], None] = lambda name: None,
        refused: Callable[[str], None] = lambda why: None,
        is_sharded: bool = False,
    ) -> None:
        """
        :param confirmed: called with each channel that Redis will send us from now on.
        :param ended: called with each that it will not send us any more, whether we asked for that or not.
        :param refused: called with what it says to a subscription that it does not accept.
        :param is_sharded: whether messages are published in their shard only.
        """
        self._heard = heard
        self._confirmed = confirmed
        self._ended = ended
        self._refused = refused
        self._verbs = (b"SSUBSCRIBE", b"SUNSUBSCRIBE") if is_sharded else (b"SUBSCRIBE", b"UNSUBSCRIBE")
        self._batches = _batches_of_one_slot if is_sharded else _batches
        self._parser = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._greetings: list[asyncio.Future[object]] = []
        self._end: Exception | None = None
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the connection has ended, for whatever reason."""
        self.last_heard = loop.time()
        """Loop time of the last bytes from Redis."""

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end = exc
        if not self.lost.done():
            self.lost.set_result(None)
        for greeting in self._greetings:
            greeting.cancel()

    def data_received(self, data: bytes) -> None:
        self.last_heard = self._loop.time()
        gets = self._parser.gets
        self._parser.feed(data)
        heard: Heard = {}
        while (reply := gets()) is not False:
            if type(reply) is list and reply[0] in _MESSAGES:
                payloads = heard.get(reply[1])
                if payloads is None:
                    heard[reply[1]] = [reply[2]]
                else:
                    payloads.append(reply[2])
            else:
                self._answered(reply)
        if heard:
            self._heard(heard)

    def _answered(self, reply: object) -> None:
        if isinstance(reply, list):
            if reply[0] in _CONFIRMATIONS:
                self._confirmed(reply[1])
            elif reply[0] in _ENDS and reply[1] is not None:
                self._ended(reply[1])
        elif self._greetings:
            self._greetings.pop(0).set_result(reply)
        elif isinstance(reply, Exception):
            self._refused(str(reply))

    # -- commands --------------------------------------------------------------------------------

    async def greet(self, *command: str) -> object:
        """
        Send a command before the first subscription and wait for its answer.

        :raises ConnectionError: Redis answered with an error, or hung up.
        """
        answer = self._loop.create_future()
        self._greetings.append(answer)
        if self.lost.done():
            answer.cancel()
        self._send(command)
        try:
            reply = await answer
        except asyncio.CancelledError:
            if self.lost.done():
                raise ConnectionError(f"Redis hung up during the greeting: {self._end or 'no reason given'}") from None
            raise
        if isinstance(reply, Exception):
            raise ConnectionError(f"Redis refused {command[0]}: {reply}")
        return reply

    def subscribe(self, channels: Iterable[bytes]) -> None:
        """Ask for *channels*; each is confirmed on its own."""
        self._in_batches(self._verbs[0], channels)

    def unsubscribe(self, channels: Iterable[bytes]) -> None:
        self._in_batches(self._verbs[1], channels)

    def ping(self) -> None:
        """Ask for a sign of life; see `last_heard`."""
        self._send((b"PING",))

    def pause(self) -> None:
        """Read no more for now: what is published waits in Redis, which has a bound of its own."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            # What Redis has said meanwhile is yet to be read: silence counts from now.
            self.last_heard = self._loop.time()
            self._transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _in_batches(self, command: bytes, channels: Iterable[bytes]) -> None:
        for batch in self._batches(list(channels)):
            self._send((command, *batch))

    def _send(self, command: tuple[str | bytes, ...]) -> None:
        # uvloop (0.23) refuses to write when the connection has ended; the next one asks for everything anew.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]  # any length, not one


def _batches(names: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


def _batches_of_one_slot(names: list[bytes]) -> Iterator[list[bytes]]:
    """A node of a cluster takes only channels of one slot at once, that is, of one hash tag."""
    by_tag: dict[bytes, list[bytes]] = {}
    for name in names:
        by_tag.setdefault(name[name.find(b"{") + 1 : name.find(b"}")], []).append(name)
    for alike in by_tag.values():
        yield from _batches(alike)
