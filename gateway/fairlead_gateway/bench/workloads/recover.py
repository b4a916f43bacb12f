"""Everybody comes back at once, each with a position, and is given what it missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Late, Report
from fairlead_gateway.bench.ground import Ground
from fairlead_gateway.bench.machine import facts
from fairlead_gateway.bench.meter import Meter
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.replica import Replica


@dataclass(frozen=True, slots=True)
class Recover:
    """
    :param missed: messages that each has to be given.
    :param shared: all have missed the same in one instance, rather than each in its own channel.
    """

    sockets: int = 5000
    missed: int = 10
    size: int = 200
    shared: bool = False
    in_flight: int = 64

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        server = target.start(ground)
        channels = target.say_before(ground, self.sockets, self.missed, self.size, shared=self.shared)
        openings = [
            target.returning(server.port, number, channel, self.missed, Role.COUNTED)
            for number, channel in enumerate(channels)
        ]
        crowd = Crowd.of(ground)
        meter = Meter(ground, server, crowd.workers)
        opened = crowd.open(server.port, openings, in_flight=self.in_flight)
        spent = meter.spent()
        yield Report(
            workload="recover",
            target=target.name,
            unit="clients",
            parameters={"sockets": self.sockets, "missed": self.missed, "size": self.size, "shared": self.shared},
            units=len(opened.latencies),
            per_second=round(len(opened.latencies) / opened.seconds, 1),
            cpu_us_per_unit=round(spent.server / self.sockets * 1e6, 2),
            server_cores=round(spent.server / spent.wall, 3),
            late_ms=Late.of(opened.latencies),
            load_cores=spent.shares,
            limited_by=spent.limits(ground.cores),
            extra={"redis_us_per_client": round(spent.others["redis"] / self.sockets * 1e6, 2)},
            machine=facts(),
        )
