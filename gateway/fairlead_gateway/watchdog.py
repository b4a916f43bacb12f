"""The watchdog: an event loop that stands still is told of, with what it was doing, and does not stand for ever."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Callable
from threading import Event, Thread, get_ident
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

TICK_SECONDS: Final = 0.25

TOLD_SECONDS: Final = 1.0
"""A loop that stands for so long is told of."""

SAY_SECONDS: Final = 1.0
"""How long a line of log may take: what holds the loop up may be the log."""

STATUS: Final = 70
"""Exit status of a process whose loop stood for too long."""


class Watchdog:
    """
    Asks a loop for a sign of life from a thread of its own.

    Time is counted in the thread's ticks: while the process is stopped, or the machine sleeps, it does not tick either,
    and nothing is held against the loop.

    :param seconds: how long the loop may stand before the process ends.
    :param end: how it ends; nothing that the loop would have to do can be waited for.
    """

    def __init__(self, seconds: float, end: Callable[[int], object] = os._exit) -> None:
        self._seconds = seconds
        self._end = end
        self._is_alive = True
        self._stopped = Event()
        self._watched = 0

    def start(self) -> None:
        """Watch the running loop."""
        self._watched = get_ident()
        Thread(target=self._watch, args=(asyncio.get_running_loop(),), name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _alive(self) -> None:
        self._is_alive = True

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        stands = 0.0
        while not self._stopped.wait(TICK_SECONDS):
            if self._is_alive:
                if stands >= TOLD_SECONDS:
                    self._say("the event loop goes on", stood_seconds=stands)
                stands, self._is_alive = 0.0, False
                try:
                    loop.call_soon_threadsafe(self._alive)
                except RuntimeError:  # it has been closed
                    return
                continue
            before, stands = stands, stands + TICK_SECONDS
            if before < TOLD_SECONDS <= stands:
                self._say("the event loop stands", stood_seconds=stands, frames=self._frames())
            if stands >= self._seconds:
                self._say("the event loop stands for too long; ending", stood_seconds=stands, frames=self._frames())
                self._end(STATUS)

    def _frames(self) -> list[str]:
        """Where the loop's thread is."""
        frame = sys._current_frames().get(self._watched)
        return [line.strip() for line in traceback.format_stack(frame)] if frame else []

    def _say(self, event: str, **facts: Any) -> None:
        line = Thread(target=log.error, args=(event,), kwargs=facts, daemon=True)
        line.start()
        line.join(SAY_SECONDS)
