"""Children that are replaced on demand, and what becomes of them when their successors fail."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from fairlead_gateway import rolling
from fairlead_gateway.processes import Command, Patience, until
from fairlead_gateway.rolling import Fleet
from tests.support.processes import ended

CHILD = """
import os, signal, sys, time
notes, mood = sys.argv[1:3]
print(os.getpid(), file=open(notes, 'a'), flush=True)
if open(mood).read() == 'slow to end':
    signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(0)))
if '--ready' in sys.argv:
    while open(mood).read() == 'never ready':
        time.sleep(0.01)
    if open(mood).read() == 'dies':
        sys.exit(7)
    os.write(int(sys.argv[-1]), b'1')
time.sleep(600)
"""
SECONDS = 20.0


class Stage:
    """A fleet under way, and what its children do next."""

    def __init__(self, folder: Path, children: int) -> None:
        self._notes = folder / "pids"
        self._mood = folder / "mood"
        self.mood("well")
        self.python = folder / "python"
        self.python.symlink_to(Path(sys.executable).resolve())
        argv = (str(self.python), "-c", CHILD, str(self._notes), str(self._mood))
        commands = [Command(f"child {number}", argv, os.environ) for number in range(children)]
        self.given_back = asyncio.Event()
        lent = ExitStack()
        lent.callback(self.given_back.set)
        self.fleet = Fleet(commands, Patience(SECONDS), lent)
        self.running = asyncio.create_task(self.fleet.run())

    def mood(self, mood: str) -> None:
        """How children are that start from now on."""
        self._mood.write_text(mood)

    def born(self) -> list[int]:
        """Process ids of all children that ever started, the earliest first."""
        return [int(line) for line in self._notes.read_text().split()] if self._notes.exists() else []

    async def count(self, born: int, alive: int) -> list[int]:
        """Those who are alive, once exactly so many have started and so many live."""

        async def is_so() -> bool:
            return len(self.born()) == born and len(self.alive()) == alive

        with suppress(TimeoutError):
            await until(is_so, SECONDS)
        assert (len(self.born()), len(self.alive())) == (born, alive)
        return self.alive()

    def alive(self) -> list[int]:
        return [pid for pid in self.born() if not ended(pid)]


@asynccontextmanager
async def staged(folder: Path, children: int = 1) -> AsyncIterator[Stage]:
    """A fleet whose children have started; it is ended with the block, and leaves nobody."""
    stage = Stage(folder, children)
    try:
        await stage.count(children, children)
        yield stage
    finally:
        stage.running.cancel()
        await asyncio.wait((stage.running,), timeout=SECONDS)
    assert stage.running.cancelled() and stage.alive() == []


async def said(logs: list[Any], event: str, times: int = 1) -> None:
    """Return once something that begins like *event* was logged so often."""

    async def is_so() -> bool:
        return sum(entry["event"].startswith(event) for entry in logs) >= times

    await until(is_so, SECONDS)


async def test_a_roll_replaces_every_child(tmp_path: Path) -> None:
    async with staged(tmp_path, 2) as stage:
        before = stage.alive()

        stage.fleet.roll()

        assert not {*before} & {*await stage.count(4, 2)}


@pytest.mark.parametrize("mood", ["dies", "never ready"])
async def test_the_old_child_stays_when_its_successor_fails(
    tmp_path: Path, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolling, "READY_SECONDS", 0.5)
    async with staged(tmp_path) as stage:
        before = stage.alive()
        stage.mood(mood)

        with capture_logs() as logs:
            stage.fleet.roll()
            await said(logs, "roll given up")

        assert await stage.count(2, 1) == before
        stage.mood("well")
        stage.fleet.roll()
        assert await stage.count(3, 1) != before


async def test_the_old_child_stays_when_no_successor_can_be_started(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        before = stage.alive()
        target = stage.python.readlink()
        stage.python.unlink()

        with capture_logs() as logs:
            stage.fleet.roll()
            await said(logs, "roll given up")

        assert await stage.count(1, 1) == before
        stage.python.symlink_to(target)
        stage.fleet.roll()
        assert await stage.count(2, 1) != before


async def test_asked_twice_during_a_roll_it_rolls_once_more_and_no_more(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.mood("never ready")
        with capture_logs() as logs:
            stage.fleet.roll()
            await stage.count(2, 2)
            stage.fleet.roll()
            stage.fleet.roll()
            stage.mood("well")
            await said(logs, "rolled", times=2)
            await asyncio.sleep(0.3)

        assert [entry["event"] for entry in logs].count("rolling") == 2
        await stage.count(3, 1)


async def test_ended_while_an_old_child_ends_it_leaves_nobody(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.mood("slow to end")
        stage.fleet.roll()
        await stage.count(2, 1)

        stage.fleet.roll()
        await stage.count(3, 2)


async def test_what_was_lent_is_closed_at_once_when_all_shall_end(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.mood("slow to end")
        stage.fleet.roll()
        (slow,) = await stage.count(2, 1)

        stage.running.cancel()
        await asyncio.wait_for(stage.given_back.wait(), SECONDS)

        assert not ended(slow)
