"""What is said on every new connection to Redis before its first command."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from redis.exceptions import MovedError, RedisError, ResponseError

from fairlead.names import PARTITIONS, Names
from fairlead.redis.scripts import Script, Text, load

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

    :param owned: which partitions a node of a cluster has, as far as we know; None for a server that has any.
    """

    def __init__(self, names: Names, owned: Callable[[], Iterable[int]] | None = None) -> None:
        self._names = names
        self._owned = owned
        self.is_modern = True
        """Whether the server understands ``#!lua`` (7.0 and later); known after the first connection."""
        self.terms: set[int] = set()
        """Partitions of a node of a cluster for which its term is written."""

    def text(self, script: Script) -> Text:
        """*script* as the server understands it, and publishes what it publishes."""
        return script.text(self.is_modern, self._owned is not None)

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

        layout = self._names.layout
        owned = None if self._owned is None else list(self._owned())
        *terms, written, partitions = yield [
            *([self._term(range(PARTITIONS))] if owned is None else self.term_commands(owned)),
            ("SET", layout, PARTITIONS, "NX"),
            ("GET", layout),
        ]
        if owned is None:
            _unless_refused(terms[0])
        else:
            self._check_owned(owned, terms)
        if partitions is None:
            _unless_refused(written)
        if not isinstance(partitions, MovedError) and int(_unless_refused(partitions)) != PARTITIONS:
            raise WrongLayout(f"{layout} says {int(partitions)} partitions, this version has {PARTITIONS}")
        yield []

    def term_commands(self, partitions: Iterable[int]) -> list[Command]:
        """Write the term of a node of a cluster for each of *partitions*: each is in a slot of its own."""
        return [self._term([partition]) for partition in partitions]

    def unwritten(self, partitions: Iterable[int]) -> list[int]:
        """Those of *partitions* that have moved to this node of a cluster since it was last greeted."""
        return [] if self._owned is None else sorted({*partitions} - self.terms)

    def take_terms(self, partitions: Iterable[int], replies: Iterable[Any]) -> None:
        """What became of `term_commands`: a partition that lives elsewhere by now is left to its master."""
        self.terms.update(
            one for one, reply in zip(partitions, replies, strict=True) if not isinstance(reply, Exception)
        )

    def _check_owned(self, owned: list[int], replies: list[Any]) -> None:
        """Where every partition has moved away, nobody is master."""
        refusals = [reply for reply in replies if isinstance(reply, Exception)]
        for refusal in refusals:
            if not isinstance(refusal, MovedError) or len(refusals) == len(owned):
                raise refusal
        self.terms.clear()
        self.take_terms(owned, replies)

    def _term(self, partitions: Iterable[int]) -> Command:
        keys = [self._names.term(partition) for partition in partitions]
        return "EVAL", self.text(load("term")).source, len(keys), *keys


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
