"""A few questions to a server that we do not stay connected to: a sentinel, or any node of a cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from fairlead.redis.options import async_options, sync_options
from fairlead.redis.placed import Place

if TYPE_CHECKING:
    from fairlead.redis.address import HostPort
    from fairlead.redis.connection import Command, Connection, SyncConnection

NAME = "fairlead-scout"


async def ask_once(url: str, host: HostPort, *commands: Command, seconds: float) -> list[Any]:
    """
    The answers of *host* to *commands*, within *seconds*.

    :param url: credentials and options; where it leads does not matter.
    :raises RedisError: or ``OSError``: it cannot be reached, or refuses.
    """
    options = async_options(url, NAME, seconds, Place(*host))
    connection = cast("Connection", options.pop("connection_class")(**options))
    try:
        async with asyncio.timeout(seconds):
            await connection.connect()
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await connection.read_response() for _ in commands]
    finally:
        await connection.disconnect(nowait=True)


def ask_once_sync(url: str, host: HostPort, *commands: Command, seconds: float) -> list[Any]:
    """As `ask_once`, blocking; *seconds* are those of each step."""
    options = sync_options(url, NAME, seconds, Place(*host))
    connection = cast("SyncConnection", options.pop("connection_class")(**options))
    try:
        connection.connect()
        connection.send_packed_command(connection.pack_commands(commands))
        return [connection.read_response() for _ in commands]
    finally:
        connection.disconnect()
