"""What clients of several replicas have seen and said, counted by themselves: what statistics must come to (I7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fairlead.state.statistics import TEN
from tests.support.client import Client, connected
from tests.support.replica import Replica
from tests.support.rest import rest

QUIET = 15.0
"""Seconds in which statistics come to what is true, once nothing happens any more."""


class Seat:
    """One client, where it is, and what it has said."""

    def __init__(self, replica: Replica, user: str, room: str, client: Client) -> None:
        self.replica, self.user, self.room, self.client = replica, user, room, client
        self.said = 0
        self.errors = 0
        self.is_open = True

    async def ask(self, action: str, **fields: Any) -> None:
        self.said += 1
        answer = await self.client.ask(action, **fields)
        self.errors += answer["type"] == "error"

    @property
    def heard(self) -> int:
        """Messages of channels that came; replies are taken out by whoever awaited them."""
        return sum(frame["type"] not in ("connection_established", "skipped") for frame in self.client.frames)


class Recorder:
    """All clients, and what the statistics must be."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.seats: list[Seat] = []

    async def sit(self, replica: Replica, user: str, room: str = "") -> Seat:
        client = await self._stack.enter_async_context(connected(replica.url, user))
        self._stack.callback(client.websocket.transport.abort)
        seat = Seat(replica, user, room, client)
        self.seats.append(seat)
        if room:
            await seat.ask("join_session", session_id=room)
        return seat

    @property
    def open(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.is_open]

    async def ended(self, replica: Replica) -> None:
        """Its clients have read what it still wrote to them."""
        for seat in self.seats:
            if seat.replica is replica:
                await seat.client.closed()
                seat.is_open = False

    async def read_everything(self) -> None:
        for seat in self.open:
            await seat.ask("ping")

    @property
    def ten(self) -> dict[str, int]:
        here = self.open
        figures = (
            len(here),
            len(here),
            sum(seat.heard for seat in self.seats),
            sum(seat.said for seat in self.seats),
            len(self.seats) - len(here),
            sum(seat.errors for seat in self.seats),
            len({seat.user for seat in here}),
            len({seat.room for seat in here} - {""}),
            len(here),
            sum(seat.room != "" for seat in here),
        )
        return dict(zip(TEN, figures, strict=True))


@asynccontextmanager
async def recording() -> AsyncIterator[Recorder]:
    async with AsyncExitStack() as stack:
        yield Recorder(stack)


async def until_quiet(recorder: Recorder, through: Replica) -> dict[str, Any]:
    """What ``GET stats`` says once it is what the recorder has; fails with both when that is not in time."""
    deadline = time.monotonic() + QUIET
    async with rest(through) as api:
        while True:
            await recorder.read_everything()
            await asyncio.sleep(1.2)
            found = await api.get("/stats")
            told = {name: found[name] for name in TEN}
            if told == recorder.ten:
                return dict(found)
            assert time.monotonic() < deadline, f"told {told}, recorded {recorder.ten}"


async def talk(recorder: Recorder, rounds: int) -> None:
    for number in range(rounds):
        for seat in recorder.open:
            if seat.room:
                await seat.ask("message", session_id=seat.room, content=f"{seat.user} {number}")
            await seat.ask("no_such_action" if number == 0 else "presence", channel=f"user:{seat.user}")
