"""Questions to people and their answers: a backend asks, one replica is answered, and another closes the dialog."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import fairlead
from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Late, Report
from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.machine import facts
from fairlead_gateway.bench.meter import Meter
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.replica import Replica, user_id
from fairlead_gateway.bench.worker import Order, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fairlead.backend.backend import Backend

_SLACK_SECONDS = 60.0
_LONG_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of questions that were asked."""

    latencies: array[int]
    """Nanoseconds from asking to having the answer."""

    unanswered: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AskFor(Order[Asked]):
    """Ask one question after the other."""

    count: int
    rate: float
    """Questions a second at most; none is asked before the one before was answered."""


@dataclass(frozen=True, slots=True)
class Leave(Order[None]):
    """Ask so many questions that nobody answers, and wait for each."""

    count: int


class Asker:
    """The work of the backend; picklable, because it is made elsewhere."""

    def __init__(self, redis_url: str, prefix: str, users: int) -> None:
        self._redis_url, self._prefix, self._users = redis_url, prefix, users

    def __call__(self, pipe: Connection) -> None:
        asyncio.run(self._obey(pipe))

    async def _obey(self, pipe: Connection) -> None:
        people = cycle([user_id(number) for number in range(self._users)])
        async with fairlead.connect(self._redis_url, prefix=self._prefix) as backend, AsyncExitStack() as thinking:
            while True:
                order = await asyncio.to_thread(pipe.recv)
                if isinstance(order, Leave):
                    await thinking.enter_async_context(_left(backend, order.count))
                    pipe.send(None)
                else:
                    pipe.send(await _asked(backend, people, order))


@asynccontextmanager
async def _left(backend: Backend, count: int) -> AsyncIterator[None]:
    """So many open questions, each of which somebody waits for."""
    begun = [await backend.begin_ask(f"nobody-{n}", "Go on?", timeout=_LONG_SECONDS) for n in range(count)]
    waiting = [
        asyncio.create_task(backend.answer_to(one.callback_id, wait_seconds=_LONG_SECONDS), name="thinks")
        for one in begun
    ]
    try:
        yield
    finally:
        for task in waiting:
            task.cancel()


async def _asked(backend: Backend, people: Iterator[str], order: AskFor) -> Asked:
    latencies: array[int] = array("q")
    began = time.monotonic()
    for number in range(order.count):
        await asyncio.sleep(began + number / order.rate - time.monotonic())
        since = time.monotonic_ns()
        outcome = await backend.ask(next(people), "Go on?", timeout=5)
        if outcome.by_human:
            latencies.append(time.monotonic_ns() - since)
    return Asked(latencies, order.count - len(latencies), time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class Ask:
    """
    :param rate: questions a second, one after the other: people do not answer in storms.
    :param users: who answers: each has a socket on one replica that does, and one on another that is told.
    :param pending: questions that nobody answers, each waited for, beside which it is measured a second time.
    :param warm: questions asked before counting begins.
    """

    users: int = 50
    rate: float = 50.0
    pending: int = 1000
    seconds: float = 5.0
    warm: int = 50

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        servers = [target.start(ground) for _ in range(2)]
        crowd = Crowd.of(ground)
        for server, role in zip(servers, (Role.ANSWERING, Role.COUNTED), strict=True):
            crowd.open(server.port, [target.user(server.port, number, role) for number in range(self.users)])
        asker = ground.worker(Asker(ground.store.url, target.names.prefix, self.users), "asker")
        both = Server(servers[0].port, tuple(pid for server in servers for pid in server.pids))
        meter = Meter(ground, both, [*crowd.workers, asker])
        yield self._measured(ground, target, crowd, asker, meter, 0)
        if self.pending:
            asker.ask(Leave(self.pending), _SLACK_SECONDS)
            yield self._measured(ground, target, crowd, asker, meter, self.pending)

    def _measured(
        self, ground: Ground, target: Replica, crowd: Crowd, asker: Worker, meter: Meter, pending: int
    ) -> Report:
        asker.ask(AskFor(self.warm, self.rate), self.warm / self.rate + _SLACK_SECONDS)
        crowd.begin(frame_bytes=1)
        meter.restart()
        asked = asker.ask(AskFor(max(1, round(self.rate * self.seconds)), self.rate), self.seconds + _SLACK_SECONDS)
        spent = meter.spent()
        answered = len(asked.latencies)
        return Report(
            workload="ask",
            target=target.name,
            unit="questions",
            parameters={"users": self.users, "rate": self.rate, "pending": pending},
            units=answered,
            lost=asked.unanswered,
            per_second=round(answered / asked.seconds, 1),
            cpu_us_per_unit=round(spent.server / max(answered, 1) * 1e6, 3),
            server_cores=round(spent.server / spent.wall, 3),
            late_ms=Late.of(asked.latencies),
            closed=crowd.heard().closed,
            load_cores=spent.shares,
            limited_by=spent.limits(ground.cores),
            machine=facts(),
        )
