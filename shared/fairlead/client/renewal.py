"""Another token before the one we have ends, said on the open connection (T1, T2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from fairlead.client.listener import Listener
from fairlead.client.tokens import Tokens, life_of

MIN_SECONDS: Final = 1.0
"""Between two renewals, whatever the tokens say."""


class Renewal:
    """
    One task for each connection whose token says when it ends.

    :param now: the time by the gateway's clock.
    """

    def __init__(self, tokens: Tokens, now: Callable[[], datetime], listener: Listener) -> None:
        self._tokens = tokens
        self._now = now
        self._listener = listener
        self._task: asyncio.Task[None] | None = None

    def begin(self, token: str) -> None:
        """The connection has been opened with *token*."""
        life = life_of(token, self._now().timestamp()) if self._tokens.renews else None
        if life is not None:
            self._task = asyncio.create_task(self._renew(token, life.due), name="fairlead client token")

    async def end(self) -> None:
        """The connection is over."""
        await ended(self._task)

    async def _renew(self, token: str, due: float) -> None:
        least = 0.0
        while True:
            await asyncio.sleep(max(least, due - self._now().timestamp()))
            least = MIN_SECONDS
            try:
                fresh = await self._tokens.ask("expires")
            except Exception as error:  # noqa: BLE001 - a fault of the application's function, whatever it is
                self._listener.failed(error)
                return
            if not fresh or fresh == token:
                # 4401 will tell.
                return
            self._tokens.known = token = fresh
            self._listener.renew(fresh)
            life = life_of(fresh, self._now().timestamp())
            if life is None:
                return
            due = life.due


async def ended(task: asyncio.Task[None] | None) -> None:
    """Cancel *task* and wait for it, unless it is the one that asks, which ends by itself."""
    if task is not None and task is not asyncio.current_task():
        task.cancel()
        await asyncio.wait([task])
