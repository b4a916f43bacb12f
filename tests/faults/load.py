"""Backends that publish at a steady rate, each message under an id of its own, said again until its fate is known."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from fairlead.backend.backend import Backend
from fairlead.errors import FairleadError, Unavailable
from tests.faults.recorder import Published, Recorder, Refused, now

TICK_SECONDS: Final = 0.005

PATIENCE_SECONDS: Final = 20.0
"""How long a message is said again under its id before its publisher gives up."""


class Load:
    """
    *rate* messages a second to *channels*, one after the other.

    :param label: what message ids begin with; different for each publisher of a run.
    """

    def __init__(
        self,
        backend: Backend,
        recorder: Recorder,
        channels: Sequence[str],
        rate: float,
        rng: random.Random,
        *,
        label: str = "m",
    ) -> None:
        self._backend = backend
        self._recorder = recorder
        self._channels = channels
        self._rate = rate
        self._rng = rng
        self._label = label
        self._said = 0
        self._pending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def said(self) -> int:
        """Messages that were to be published so far."""
        return self._said

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="load")

    async def stop(self) -> None:
        """Say nothing more; returns when the fate of everything said is known, or was given up on."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._pending)

    async def abandon(self) -> None:
        """Stop at once, whatever became of what was said."""
        tasks = [*self._pending, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        began = now()
        while True:
            due = int((now() - began) * self._rate)
            for number in range(self._said, due):
                task = asyncio.create_task(self._say(number))
                self._pending.add(task)
                task.add_done_callback(self._pending.discard)
            self._said = max(self._said, due)
            await asyncio.sleep(TICK_SECONDS)

    async def _say(self, number: int) -> None:
        channel = self._channels[number % len(self._channels)]
        id_, began, tries = f"{self._label}-{number}", now(), 0
        is_unknown = False
        while True:
            tries += 1
            try:
                sent = await self._backend.send(channel, {"type": "n", "n": number}, message_id=id_)
            except FairleadError as error:
                is_unknown |= bool(error.detail.get("unknown"))
                if not isinstance(error, Unavailable) or now() - began > PATIENCE_SECONDS:
                    self._recorder.refused.append(Refused(channel, id_, is_unknown, error.message, now()))
                    return
                await asyncio.sleep(self._rng.uniform(0, 0.2))
            else:
                result = Published(channel, id_, sent.offset, sent.epoch, began, now(), number, tries, sent.duplicate)
                self._recorder.published.append(result)
                return
