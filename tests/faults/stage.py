"""One run of one fault: devices and publishers at work, the fault among them, and what came of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.faults import invariants
from tests.faults.ground import Ground, Shape
from tests.faults.load import Load
from tests.faults.recorder import Ahead, Closed, Delivered, Recorder, Stood, now
from tests.faults.subscriber import Device
from tests.faults.watch import STANDS_SECONDS, Blindness, Watch
from tests.support.replica import Replica

START_SECONDS: Final = 60.0
"""How long the devices may take to come in before anything happens."""

SETTLE_SECONDS: Final = 15.0
"""How long after the last publish everything may take to arrive; what has not by then is lost."""

SEATED_SECONDS: Final = 15.0
"""How long after that a connection that is gone may hold its seat."""

LINGER_SECONDS: Final = 0.3
"""How long it is watched whether more comes than should."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table of faults."""

    name: str
    what: str
    """What happens, in a sentence."""

    fault: Callable[[Stage], Awaitable[None]]
    """Does it; returns when it is over, so that all must be well again soon."""

    whole_seconds: float = 5.0
    """The bar: so long after the fault nothing may be overdue."""

    answer_seconds: float = STANDS_SECONDS
    """The bar: so long a living replica may take to say that it lives."""

    before_seconds: float = 1.0
    after_seconds: float = 1.5
    """How long the load runs around the fault."""

    rate: float = 200.0
    devices: int = 12
    sessions: int = 3
    replicas: int = 2
    device: type[Device] = Device
    """What devices are made of."""

    all_on_first: bool = False
    """Whether all devices begin on the first replica."""

    shape: Callable[[], Shape] | None = None
    """What Redis is; one server, if not said."""

    is_cabled: bool = False
    is_apart: bool = False
    """Whether the first replica lives in a network namespace, which only root can make."""

    is_proxied: bool = False
    """Whether devices come through Nginx."""

    files: int = 0
    """How many files a replica may have open; 0 for as many as it wants."""

    redis_options: tuple[str, ...] = ()
    settings: dict[str, object] = field(default_factory=dict)

    may_break: bool = False
    """Whether history may really end, so that devices are told to reload. Elsewhere that is a failure as well."""

    fails_over: bool = False
    """Whether masters are lost, so that it is looked up what the logs have kept."""

    durable_replicas: int = 0
    """Servers that must have a message before it counts as sent. With none a lost master may take messages along."""

    may_refuse: bool = False
    """Whether publishers may end with an error."""

    is_quick: bool = False
    """Whether it belongs to every run of the tests."""


@dataclass(slots=True)
class Outcome:
    """What came of one run."""

    fault: str
    seed: int
    said: int
    acknowledged: int
    delivered: int
    lost: list[str]
    gone: list[str]
    """Acknowledged messages that a lost master took along."""
    told: int
    """Times that a device was told to reload."""
    duplicated: list[str]
    reordered: list[str]
    reused: list[str]
    holes: int
    """Holes that devices themselves found and had filled; none, as long as replicas do their part."""
    closes: dict[int, int]
    whole_seconds: float
    stood_seconds: float
    """The longest that a replica's loop stood, as seen from outside."""
    notes: list[str]
    """What the fault itself has seen."""
    failures: list[str]
    """Bars that were missed."""

    @property
    def complaints(self) -> list[str]:
        """All that is wrong with it."""
        return [*self.lost, *self.duplicated, *self.reordered, *self.reused, *self.failures]

    def line(self) -> str:
        """One line of the table."""
        return (
            f"{self.fault:<28} {self.seed:>6} {self.said:>7} {self.acknowledged:>7} {self.delivered:>8} "
            f"{len(self.lost):>5} {len(self.gone):>5} {self.told:>5} {len(self.duplicated):>5} "
            f"{len(self.reordered):>5} {len(self.reused):>6} {self.holes:>5} "
            f"{self.whole_seconds:>8.2f} s {self.stood_seconds:>6.2f} s  "
            + "  ".join([*(f"{code}×{count}" for code, count in self.closes.items()), *self.notes])
        )


HEADINGS: Final = (
    f"{'fault':<28} {'seed':>6} {'said':>7} {'acked':>7} {'deliver':>8} "
    f"{'lost':>5} {'gone':>5} {'told':>5} {'twice':>5} {'order':>5} {'reused':>6} {'holes':>5} "
    f"{'whole':>10} {'stood':>8}  closes"
)


class Stage:
    """A *scenario* with one *seed*, on *ground*. Users and sessions are new ones, so that a ground serves many runs."""

    def __init__(self, scenario: Scenario, seed: int, ground: Ground) -> None:
        self.scenario = scenario
        self.seed = seed
        self.ground = ground
        self.rng = random.Random(f"{scenario.name}/{seed}")
        self.record = Recorder()
        mark = f"{scenario.name.replace(' ', '-')}-{seed}"
        users = [f"{mark}-u{number}" for number in range(scenario.devices)]
        sessions = [f"session:{mark}-s{number}" for number in range(scenario.sessions)]
        self.channels = [*sessions, *(f"user:{user}" for user in users)]
        self.devices = [
            scenario.device(
                user,
                self.rng.sample(sessions, k=min(2, len(sessions))),
                ground.urls,
                self.record.diary(user),
                random.Random(f"{scenario.name}/{seed}/{user}"),
            )
            for user in users
        ]
        self.load = Load(ground.backend, self.record, self.channels, scenario.rate, self.rng, label=mark)
        self.watch = Watch(ground.fleet)
        self.notes: list[str] = []
        self._healed = 0.0
        self._spared: list[str] = []
        self._blindness: list[Blindness] = []

    def victim(self) -> Replica:
        """A replica that will not run for a while."""
        replica = self.rng.choice(self.ground.fleet)
        self.spare(replica)
        return replica

    def spare(self, replica: Replica) -> None:
        """Do not count the time for which *replica* does not run."""
        self._spared.append(replica.name)

    def blinded(self, replica: Replica, seconds: float) -> None:
        """*replica* could not reach Redis for the last *seconds*, and now can."""
        self._blindness.append(Blindness(replica.name, now() - seconds, now()))

    async def pause(self, low: float, high: float | None = None) -> None:
        """Let some seconds pass: *low*, or at random up to *high*."""
        await asyncio.sleep(low if high is None else self.rng.uniform(low, high))

    def healed(self) -> None:
        """From now on all must become well again; at the latest when the fault returns."""
        self._healed = self._healed or now()

    async def run(self) -> Outcome:
        """Play it."""
        if self.scenario.all_on_first:
            self.ground.doors = self.ground.fleet[:1]
        for device in self.devices:
            device.start()
        try:
            await self._all_stand()
            self.watch.start()
            self.load.start()
            await asyncio.sleep(self.scenario.before_seconds)
            await self.scenario.fault(self)
            self.healed()
            await asyncio.sleep(self.scenario.after_seconds)
            await self.load.stop()
            await self._settled()
            await self.watch.stop()
            seated = await self._seated()
            return await self._outcome(seated)
        finally:
            await self.watch.stop()
            await self.load.abandon()
            await asyncio.gather(*(device.stop() for device in self.devices))

    async def _all_stand(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            for device in self.devices:
                await device.standing.wait()

    async def _settled(self) -> None:
        """Return when nothing is missing any more, or the time is up; and a moment later, in case more comes."""
        survivors = await self._survivors()
        deadline = now() + SETTLE_SECONDS
        while invariants.lost(self.record, survivors) and now() < deadline:
            await asyncio.sleep(0.1)
        await asyncio.sleep(LINGER_SECONDS)

    async def _seated(self) -> list[str]:
        """What is wrong with who is said to be there (I5, I6), once dead replicas had time to be swept."""
        deadline = now() + SEATED_SECONDS
        while (found := await self._misplaced()) and now() < deadline:
            await asyncio.sleep(0.1)
        return found

    async def _misplaced(self) -> list[str]:
        backend, found = self.ground.backend, []
        for channel in self.channels:
            here = sorted(member.user_id for member in await backend.presence(channel)) if _is_room(channel) else []
            expected = sorted(device.user for device in self.devices if channel in device.positions.places)
            if _is_room(channel) and here != expected:
                found.append(f"I5 {channel} holds {here}, not {expected}")
        seats = {device.user: await self.ground.seats(device.user) for device in self.devices}
        return found + [
            f"I6 {user} has {count} seats, and one connection" for user, count in seats.items() if count != 1
        ]

    async def _survivors(self) -> invariants.Survivors | None:
        """What the logs have kept, where a lost master may have taken along what was acknowledged."""
        may_lose = self.scenario.fails_over and not self.scenario.durable_replicas
        return await self.ground.survivors(self.channels) if may_lose else None

    async def _gone(self) -> list[str]:
        """What was acknowledged, and no log holds."""
        if not self.scenario.fails_over:
            return []
        return invariants.gone_with_the_master(self.record, await self.ground.survivors(self.channels))

    async def _outcome(self, seated: list[str]) -> Outcome:
        record, survivors, gone = self.record, await self._survivors(), await self._gone()
        events = [event for diary in record.diaries for event in diary.events]
        told = sum(isinstance(event, Stood) and event.recovered is False for event in events)
        codes = [event.code for event in events if isinstance(event, Closed)]
        whole = invariants.seconds_until_whole(record, self._healed)
        stood = self.watch.longest_stand(self._spared)
        return Outcome(
            fault=self.scenario.name,
            seed=self.seed,
            said=self.load.said,
            acknowledged=len(record.published),
            delivered=sum(isinstance(event, Delivered) for event in events),
            lost=invariants.lost(record, survivors),
            gone=gone,
            told=told,
            duplicated=[*invariants.duplicated(record), *invariants.mistaken(record)],
            reordered=[*invariants.holed(record), *invariants.reordered(record)],
            reused=invariants.reused(record),
            holes=sum(isinstance(event, Ahead) for event in events),
            closes={code: codes.count(code) for code in sorted(set(codes))},
            whole_seconds=whole,
            stood_seconds=stood,
            notes=self.notes,
            failures=[
                *self._failures(told, whole, stood),
                *(gone if self.scenario.durable_replicas else ()),
                *seated,
                *self.watch.untruths(self._blindness),
            ],
        )

    def _failures(self, told: int, whole: float, stood: float) -> list[str]:
        scenario, found = self.scenario, []
        if told and not scenario.may_break:
            found.append(f"{told} times a device was told to reload, though nothing was lost")
        if self.record.refused and not scenario.may_refuse:
            found.append(f"{len(self.record.refused)} publishes were refused: {self.record.refused[0].why}")
        if whole > scenario.whole_seconds:
            found.append(f"whole again after {whole:.1f} s, not within {scenario.whole_seconds:g} s")
        if stood > scenario.answer_seconds:
            found.append(f"I8 a loop stood for {stood:.1f} s")
        return found


def _is_room(channel: str) -> bool:
    return channel.startswith("session:")
