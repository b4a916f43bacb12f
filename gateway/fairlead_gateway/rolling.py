"""Children that are replaced one at a time: the new one is ready before the old one is asked to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Final

import structlog

from fairlead_gateway.processes import Command, Patience, end, keep, spawn

log = structlog.get_logger(__name__)

READY_SECONDS: Final = 30.0
"""How long a new child may take to become ready before the old one is kept."""


class Fleet:
    """
    Children of the same program, kept alive, and replaced on demand.

    :param lent: files of ours that they use, closed as soon as all shall end: a listener that nobody accepts from any
        more would keep newcomers waiting, who could be somewhere else.
    """

    def __init__(self, commands: Sequence[Command], patience: Patience, lent: ExitStack) -> None:
        self._commands = commands
        self._patience = patience
        self._lent = lent
        self._asked = asyncio.Event()

    def roll(self) -> None:
        """Replace every child; asked during a roll, once more behind it."""
        self._asked.set()

    async def run(self) -> None:
        """
        Keep them alive until cancelled, then end them all.

        :raises KeepsDying: when one of them will not start.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                keepers = [tasks.create_task(keep(command, self._patience)) for command in self._commands]
                with self._lent:
                    while True:
                        await self._asked.wait()
                        self._asked.clear()
                        await self._roll(tasks, keepers)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _roll(self, tasks: asyncio.TaskGroup, keepers: list[asyncio.Task[None]]) -> None:
        log.info("rolling", processes=len(keepers))
        for at, command in enumerate(self._commands):
            heir = await self._heir(command)
            if heir is None:
                log.error("roll given up: the new process does not get ready, the old one stays", process=command.name)
                return
            old, keepers[at] = keepers[at], tasks.create_task(keep(command, self._patience, heir))
            old.cancel()
            await asyncio.wait((old,))
            log.info("process replaced", process=command.name, successor=heir.pid)
        log.info("rolled", processes=len(keepers))

    async def _heir(self, command: Command) -> asyncio.subprocess.Process | None:
        """A new child that is ready; None, and no child, when it did not get there."""
        hears, says = os.pipe()
        is_ready = False
        try:
            try:
                process = await self._spawn(command, says)
            except OSError as error:
                log.error("no new process", process=command.name, why=str(error))
                return None
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(READY_SECONDS):
                        is_ready = await _heard_from(hears)
            finally:
                if not is_ready:
                    await end(process, self._patience)
        finally:
            os.close(hears)
        return process if is_ready else None

    async def _spawn(self, command: Command, ready: int) -> asyncio.subprocess.Process:
        try:
            told = replace(command, argv=(*command.argv, "--ready", str(ready)), fds=(*command.fds, ready))
            return await spawn(told)
        finally:
            os.close(ready)


async def _heard_from(pipe: int) -> bool:
    """Whether a byte came, or the end: its writer died."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(pipe)
    return os.read(pipe, 1) != b""
