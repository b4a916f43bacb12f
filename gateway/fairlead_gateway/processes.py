"""Child processes that are started again when they die, end when they are asked to, and never outlive their parent."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

log = structlog.get_logger(__name__)

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that end the service: the first one politely, the second one now."""

SETTLED_SECONDS: Final = 10.0
"""A child that lived this long had started well."""

MAX_FALSE_STARTS: Final = 3
"""Deaths in a row before having settled, after which trying again is pointless."""

FIRST_PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 5.0

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Command:
    """How to start one child."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    fds: tuple[int, ...] = ()
    """Open files of ours that the child shall have, too."""


class KeepsDying(Exception):
    """A child dies again and again before it has settled; its own last words say why."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"{name} does not start: exit status {status}, {MAX_FALSE_STARTS} times in a row")
        self.name = name
        self.status = status


@dataclass(slots=True)
class Patience:
    """How long children may take to end: *grace_seconds*, or no longer once the operator insists."""

    grace_seconds: float
    insisted: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for_exit(self, process: asyncio.subprocess.Process) -> None:
        """Return when *process* has ended or its time is up."""
        exit_, insisted = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self.insisted.wait())
        try:
            await asyncio.wait((exit_, insisted), timeout=self.grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            exit_.cancel()
            insisted.cancel()


async def until_stopped(
    work: Coroutine[None, None, None], patience: Patience, signals: Sequence[signal.Signals] = STOPPING
) -> None:
    """Do *work* until it is done or one of *signals* cancels it; a second one makes *patience* end."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

    def heard() -> None:
        patience.insisted.set() if task.cancelling() else task.cancel()

    for number in signals:
        loop.add_signal_handler(number, heard)
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


def pause_before_restart(false_starts: int) -> float:
    """Seconds to wait before the next start, after so many deaths in a row."""
    return min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * float(2**false_starts))


@asynccontextmanager
async def running(commands: Sequence[Command], patience: Patience) -> AsyncIterator[None]:
    """
    Keep a child of every command alive inside the block, and end them all when it is left.

    :raises KeepsDying: when one of them will not start; the block is cancelled.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            keepers = [tasks.create_task(keep(command, patience), name=f"keep {command.name}") for command in commands]
            yield
            for keeper in keepers:
                keeper.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group  # one failure is enough to end, and is what there is to tell


async def until(check: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """
    Return when *check* says yes.

    :raises TimeoutError: it did not in *seconds*.
    """
    async with asyncio.timeout(seconds):
        while True:
            if await check():
                return
            await asyncio.sleep(0.02)


async def keep(command: Command, patience: Patience, process: asyncio.subprocess.Process | None = None) -> None:
    """Run *command*, and again whenever it ends by itself, until cancelled; *process* is one that runs already."""
    loop, false_starts = asyncio.get_running_loop(), 0
    while True:
        born = loop.time()
        status = await _last(process or await spawn(command), patience)
        process = None
        false_starts = 0 if loop.time() - born > SETTLED_SECONDS else false_starts + 1
        if false_starts >= MAX_FALSE_STARTS:
            raise KeepsDying(command.name, status)
        pause = pause_before_restart(false_starts)
        log.warning("process died", process=command.name, status=status, restart_in_seconds=pause)
        await asyncio.sleep(pause)


async def _last(process: asyncio.subprocess.Process, patience: Patience) -> int:
    """The exit status of *process*; cancelled, it is ended."""
    try:
        return await process.wait()
    finally:
        await end(process, patience)


async def spawn(command: Command) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command.argv,
        env=dict(command.env),
        stdin=asyncio.subprocess.DEVNULL,
        # A group of its own: Ctrl-C goes to the terminal's whole foreground group, but only the parent may decide.
        process_group=0,
        pass_fds=command.fds,
        preexec_fn=bound_to(os.getpid()),
    )


def bound_to(parent: int) -> Callable[[], None]:
    """What a child does before its program starts (``preexec_fn``): see to it that a killed *parent* takes it along."""

    def bind() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between the fork and the line above
            os._exit(1)

    return bind


async def end(process: asyncio.subprocess.Process, patience: Patience) -> None:
    """End *process* politely, or by force when its time is up; whoever is cancelled meanwhile goes on until then."""
    ending, cancelled = asyncio.ensure_future(_end(process, patience)), False
    while not ending.done():
        try:
            await asyncio.wait((ending,))
        except asyncio.CancelledError:
            cancelled = True
    ending.result()
    if cancelled:
        raise asyncio.CancelledError


async def _end(process: asyncio.subprocess.Process, patience: Patience) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    await patience.wait_for_exit(process)
    if process.returncode is None:
        process.kill()
        await process.wait()
