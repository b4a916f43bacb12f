"""Whether the gateway is still there: a ping after silence, and an end to silence after a ping (H1, H2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

CHECK_SECONDS: Final = 3.0
"""How long the gateway may be silent after `Pulse.check`."""

_SECOND_LOOK_SECONDS: Final = 0.05
"""A loop that was held up by others hears first what has come meanwhile."""


class Pulse:
    """
    One timer of an open connection.

    :param interval: seconds of silence before a ping; 0 for none by itself.
    :param patience: seconds of silence after one.
    :param lost: called once, when they have passed.
    """

    def __init__(self, interval: float, patience: float, ping: Callable[[], None], lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._patience = patience
        self._ping = ping
        self._lost = lost
        self._heard_at = self._loop.time()
        self._asked_at = 0.0
        """When the ping was said that nothing was heard after; 0 for none."""
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rest()

    def heard(self) -> None:
        """Something came."""
        self._heard_at = self._loop.time()
        if self._asked_at:
            self._asked_at = 0.0
            self._rest()

    def check(self) -> None:
        """Ask now, and have less patience."""
        self._ask(min(CHECK_SECONDS, self._patience))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _rest(self) -> None:
        """Wake up when the silence has been long enough."""
        self.stop()
        if self._interval > 0:
            self._wake(self._heard_at + self._interval, self._look)

    def _look(self) -> None:
        if self._asked_at:
            self._wake(self._deadline, self._judge)
        elif self._loop.time() >= self._heard_at + self._interval:
            self._ask(self._patience)
        else:
            self._rest()

    def _ask(self, patience: float) -> None:
        deadline = self._loop.time() + patience
        if self._asked_at:
            self._deadline = min(self._deadline, deadline)
        else:
            self._asked_at, self._deadline = self._loop.time(), deadline
            self._ping()
        self._wake(self._deadline, self._judge)

    def _judge(self) -> None:
        if self._asked_at:
            self._wake(self._loop.time() + _SECOND_LOOK_SECONDS, self._judge_again)
        else:
            self._rest()

    def _judge_again(self) -> None:
        if self._asked_at:
            self._lost()
        else:
            self._rest()

    def _wake(self, at: float, what: Callable[[], None]) -> None:
        self.stop()
        self._timer = self._loop.call_at(at, what)
