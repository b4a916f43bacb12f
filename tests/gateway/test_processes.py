"""Children that are kept alive, ended in time, and taken along."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fairlead_gateway.processes import (
    MAX_PAUSE_SECONDS,
    Command,
    KeepsDying,
    Patience,
    pause_before_restart,
    running,
    until,
)
from tests.support.replica import wait_until

LIVES = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'a'), flush=True); time.sleep(600)"
IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + LIVES
DIES = "import sys; sys.exit(7)"
SECONDS = 20.0


def command(program: str, notes: Path, name: str = "child") -> Command:
    return Command(name, (sys.executable, "-c", program, str(notes)), os.environ)


def pids(notes: Path) -> list[int]:
    return [int(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def started(notes: Path, count: int) -> list[int]:
    async def enough() -> bool:
        return len(pids(notes)) >= count

    await until(enough, SECONDS)
    return pids(notes)


async def gone(pid: int) -> None:
    async def is_gone() -> bool:
        return not is_alive(pid)

    await until(is_gone, SECONDS)


@asynccontextmanager
async def kept(commands: Sequence[Command], grace_seconds: float = SECONDS) -> AsyncIterator[Patience]:
    patience = Patience(grace_seconds)
    async with running(commands, patience):
        yield patience


async def test_children_run_inside_the_block_and_are_gone_after_it(tmp_path: Path) -> None:
    notes = tmp_path / "pids"

    async with kept([command(LIVES, notes), command(LIVES, notes, "other")]):
        both = await started(notes, 2)
        assert all(map(is_alive, both))

    assert not any(map(is_alive, both))


async def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
    notes = tmp_path / "pids"

    async with kept([command(LIVES, notes)]):
        (first,) = await started(notes, 1)
        os.kill(first, signal.SIGKILL)
        _, second = await started(notes, 2)

        assert is_alive(second)
        assert not is_alive(first)


async def test_a_child_that_never_settles_ends_the_block_and_says_how_it_died(tmp_path: Path) -> None:
    with pytest.raises(KeepsDying) as caught:
        async with kept([command(DIES, tmp_path / "pids", "replica 1")]), asyncio.timeout(SECONDS):
            await asyncio.Event().wait()

    assert (caught.value.name, caught.value.status) == ("replica 1", 7)


async def test_the_others_are_ended_when_one_will_not_start(tmp_path: Path) -> None:
    notes = tmp_path / "pids"

    with pytest.raises(KeepsDying):
        async with kept([command(LIVES, notes)]):
            (other,) = await started(notes, 1)
            async with kept([command(DIES, notes)]), asyncio.timeout(SECONDS):
                await asyncio.Event().wait()

    await gone(other)


async def test_an_error_in_the_block_is_raised_as_it_is_and_leaves_no_child(tmp_path: Path) -> None:
    notes = tmp_path / "pids"

    with pytest.raises(ZeroDivisionError):
        async with kept([command(LIVES, notes)]):
            (child,) = await started(notes, 1)
            raise ZeroDivisionError

    await gone(child)


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    notes = tmp_path / "pids"

    async with kept([command(IGNORES_SIGTERM, notes)], grace_seconds=0.3):
        (child,) = await started(notes, 1)

    assert not is_alive(child)


async def test_an_operator_who_insists_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    loop = asyncio.get_running_loop()

    async with kept([command(IGNORES_SIGTERM, notes)], grace_seconds=600) as patience:
        (child,) = await started(notes, 1)
        asked = loop.time()
        loop.call_later(0.1, patience.insisted.set)

    assert not is_alive(child)
    assert loop.time() - asked < SECONDS


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    program = (
        "import asyncio, os, sys\n"
        "from fairlead_gateway.processes import Command, Patience, running\n"
        "async def main():\n"
        f"    child = Command('child', (sys.executable, '-c', {IGNORES_SIGTERM!r}, {str(notes)!r}), os.environ)\n"
        "    async with running([child], Patience(600)):\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    wait_until(lambda: pids(notes), SECONDS, "the child runs")

    parent.kill()
    parent.wait(timeout=SECONDS)

    wait_until(lambda: not is_alive(pids(notes)[0]), SECONDS, "the child is gone")


async def test_waiting_for_what_does_not_come_ends_in_time() -> None:
    async def never() -> bool:
        return False

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await until(never, 0.1)

    assert time.monotonic() - began >= 0.1


def test_restarts_come_ever_later_up_to_a_bound() -> None:
    pauses = [pause_before_restart(deaths) for deaths in range(20)]

    assert pauses == sorted(pauses)
    assert pauses[0] < 1 and pauses[-1] == MAX_PAUSE_SECONDS
