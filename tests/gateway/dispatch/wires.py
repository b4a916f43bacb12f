"""A reader whose connection writes down what Redis would be asked, and lets a test be Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import hiredis

from fairlead_gateway.dispatch.interest import Interest
from fairlead_gateway.dispatch.reader import Heard, RedisReader


class Wire(asyncio.Transport):
    """What was written, as commands."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = hiredis.Reader()
        self.commands: list[list[bytes]] = []
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._parser.feed(bytes(data))
        while (command := self._parser.gets()) is not False:
            self.commands.append(command)

    def abort(self) -> None:
        self.is_aborted = True

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self.is_aborted


def wired(interest: Interest, heard: list[Heard] | None = None) -> tuple[RedisReader, Wire]:
    """A reader on a `Wire`, not yet served."""
    reader = RedisReader((heard if heard is not None else []).append, interest.confirmed)
    wire = Wire()
    reader.connection_made(wire)
    return reader, wire


def confirmation(names: Iterable[bytes], verb: bytes = b"subscribe") -> bytes:
    """What Redis answers to a SUBSCRIBE."""
    return b"".join(b"*3\r\n%b%b:1\r\n" % (_bulk(verb), _bulk(name)) for name in names)


def published(name: bytes, payload: bytes, verb: bytes = b"message") -> bytes:
    """How Redis brings one message."""
    return b"*3\r\n%b%b%b" % (_bulk(verb), _bulk(name), _bulk(payload))


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)
