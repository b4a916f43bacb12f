"""What is said on every new connection to Redis before its first command."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from fairlead.names import PARTITIONS, Names
from fairlead.redis.scripts import load

if TYPE_CHECKING:
    from redis import Redis as SyncRedis
    from redis.asyncio import Redis

    from fairlead.redis.connection import Command, Connection, SyncConnection

_VERSION = re.compile(rb"redis_version:(\d+)\.")


class WrongLayout(RedisError):
    """The prefix was made with another number of partitions; nothing can be sent until one of both changes."""


class Greeting:
    """
    Asks who the server is, refuses a replica, and writes its term before anything else can be written.

    Every publisher connects anew after a failover, so the new master's term is in place before its first message
    gets an offset.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self.is_modern = True
        """Whether the server understands ``#!lua`` (7.0 and later); known after the first connection."""

    async def greet(self, connection: Connection) -> None:
        """Given to asyncio connections as ``redis_connect_func``."""
        await connection.on_connect()
        talk = self._talk()
        commands = next(talk)
        while commands:
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            commands = talk.send([await _answer(connection) for _ in commands])

    def greet_sync(self, connection: SyncConnection) -> None:
        """Given to blocking connections as ``redis_connect_func``."""
        connection.on_connect()
        talk = self._talk()
        commands = next(talk)
        while commands:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            commands = talk.send([_answer_sync(connection) for _ in commands])

    def _talk(self) -> Generator[list[Command], list[Any], None]:
        """Commands to send, for which the replies come back; an empty list at the end."""
        (info,) = yield [("INFO", "server")]
        self.is_modern = _is_modern(_unless_refused(info))

        term = load("term").text(self.is_modern).source
        layout = self._names.layout
        refused, _, partitions = yield [
            ("EVAL", term, PARTITIONS, *map(self._names.term, range(PARTITIONS))),
            ("SET", layout, PARTITIONS, "NX"),
            ("GET", layout),
        ]
        _unless_refused(refused)
        if int(_unless_refused(partitions)) != PARTITIONS:
            raise WrongLayout(f"{layout} says {int(partitions)} partitions, this version has {PARTITIONS}")
        yield []


def greeting_of(redis: Redis | SyncRedis) -> Greeting:
    """The greeting that a client was opened with."""
    hook = redis.connection_pool.connection_kwargs.get("redis_connect_func")
    greeting = getattr(hook, "__self__", None)
    if not isinstance(greeting, Greeting):
        raise TypeError("open the client with fairlead.redis.connect: it must greet every server it meets")
    return greeting


def _is_modern(info: bytes | str) -> bool:
    version = _VERSION.search(info.encode() if isinstance(info, str) else info)
    return version is None or int(version[1]) >= 7


def _unless_refused(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


async def _answer(connection: Connection) -> Any:
    """An error counts as an answer: those behind it must be read all the same."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _answer_sync(connection: SyncConnection) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
