"""A loop that stands is told of once, and ends the process; a process that was stopped is not to blame."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from fairlead_gateway import watchdog as module
from fairlead_gateway.watchdog import STATUS, Watchdog
from tests.gateway.patience import until

STANDS_FOR_EVER = """
import asyncio, time
from fairlead_gateway.watchdog import Watchdog

async def main():
    Watchdog(2.0).start()
    print("watched", flush=True)
    await asyncio.sleep(WAIT)
    while True:
        time.sleep(0.01)

asyncio.run(main())
"""


@contextmanager
def process(wait: float) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose loop works for a while, and then stands."""
    program = STANDS_FOR_EVER.replace("WAIT", str(wait))
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"watched\n"
        yield child
    finally:
        child.kill()
        child.wait(timeout=10)


def test_a_process_whose_loop_stands_for_too_long_ends_and_says_where_it_stood() -> None:
    with process(0) as child:
        began = time.monotonic()
        status = child.wait(timeout=20)
        took = time.monotonic() - began
        assert child.stdout is not None
        said = child.stdout.read().decode()

    assert status == STATUS
    assert 1.5 < took < 6
    assert said.count("the event loop stands  ") == 1
    assert "in main" in said


def test_a_process_that_was_stopped_goes_on() -> None:
    with process(60) as child:
        for _ in range(2):
            os.kill(child.pid, signal.SIGSTOP)
            time.sleep(2.5)
            os.kill(child.pid, signal.SIGCONT)
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(timeout=0.6)


async def test_a_short_stall_is_told_of_once_and_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(module, "TOLD_SECONDS", 0.1)
    ended: list[int] = []
    dog = Watchdog(5.0, ended.append)
    with capture_logs() as logs:
        dog.start()
        await asyncio.sleep(0.1)
        time.sleep(0.5)  # noqa: ASYNC251 - the stall
        await until(lambda: len(logs) == 2, 5, "told")
        dog.stop()

    assert [entry["event"] for entry in logs] == ["the event loop stands", "the event loop goes on"]
    assert any("time.sleep(0.5)" in line for line in logs[0]["frames"])
    assert ended == []
