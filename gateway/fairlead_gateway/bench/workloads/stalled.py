"""Fan-out with a tenth of the readers never reading: how much later are the others served?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Report
from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.machine import facts, open_files
from fairlead_gateway.bench.measure import Stage
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.target import Target
from fairlead_gateway.bench.workloads.fanout import sampled_roles


@dataclass(frozen=True, slots=True)
class Stalled:
    """
    Rounds with and without stalled readers alternate; the medians of their p99 are compared.

    :param size: large, so that what the kernel holds for a reader who does not read (4 MB) is soon full, and the
        outbox after it: within *seconds* the stalled sockets cost nothing, then memory, then are cut off.
    """

    sockets: int = 500
    rate: float = 200.0
    size: int = 4000
    seconds: float = 8.0
    rounds: int = 3
    sampled: int = 25

    def __call__(self, ground: Ground, target: Target) -> Iterator[Report]:
        server = target.start(ground)
        p99: dict[int, list[float]] = {0: [], self.sockets // 10: []}
        for _ in range(self.rounds):
            for stalled, seen in p99.items():
                report = self._round(ground, target, server, stalled)
                seen.append(report.late_ms.p99 if report.late_ms else 0.0)
                yield report
        without, with_ = (median(seen) for seen in p99.values())
        yield Report(
            workload="stalled",
            target=target.name,
            unit="rounds",
            parameters={"sockets": self.sockets, "rate": self.rate, "size": self.size},
            units=self.rounds,
            extra={"p99_ms_without": without, "p99_ms_with": with_, "p99_ratio": round(with_ / without, 3)},
            machine=facts(),
        )

    def _round(self, ground: Ground, target: Target, server: Server, stalled: int) -> Report:
        crowd = Crowd.of(ground)
        reading = self.sockets - stalled
        roles = [Role.STALLED] * stalled + sampled_roles(reading, self.sampled)
        crowd.open(server.port, [target.listener(server.port, number, role) for number, role in enumerate(roles)])
        stage = Stage(ground, server, crowd, target.sender(ground, self.size), target.frame_bytes(self.size))
        count = round(self.rate * self.seconds)
        held = open_files(server.pids)
        outcome = stage.publish(count, self.rate, each=count)
        cut = held - open_files(server.pids)
        stage.end()
        parameters = {"reading": reading, "stalled": stalled, "rate": self.rate, "size": self.size}
        report = stage.report("stalled", target.name, parameters, outcome)
        return replace(report, extra={**report.extra, "cut": cut})
