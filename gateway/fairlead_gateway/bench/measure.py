"""Publishing so much to a crowd that already listens, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Late, Parameter, Report
from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.machine import facts
from fairlead_gateway.bench.meter import Meter, Spent
from fairlead_gateway.bench.orders import Heard
from fairlead_gateway.bench.publisher import Publish, Published, Publisher, Sender

_KEPT: Final = 0.97
"""A publisher that reached less than this share of its rate did not keep it."""

_SLACK_SECONDS: Final = 20.0
"""How much longer than planned publishing, and then arriving, may take."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of publishing once."""

    each: int
    """Messages that every listening socket should have got."""

    rate: float
    """Messages a second that were offered; 0 for as many as were taken."""

    published: Published
    heard: Heard
    spent: Spent

    @property
    def arrived(self) -> int:
        return sum(self.heard.counts)

    @property
    def lost(self) -> int:
        return sum(max(0, self.each - count) for count in self.heard.counts)

    @property
    def repeated(self) -> int:
        """Messages that came more often than once; there is no good reason for any."""
        return sum(max(0, count - self.each) for count in self.heard.counts)

    @property
    def seconds(self) -> float:
        """From the first message sent to the last heard."""
        return max((self.heard.last_ns - self.published.first_ns) / 1e9, 1e-9)


class Stage:
    """A server, a crowd that listens to it and a publisher, to be measured again and again."""

    def __init__(self, ground: Ground, server: Server, crowd: Crowd, sender: Sender, frame_bytes: int) -> None:
        self._cores, self._crowd, self._frame_bytes = ground.cores, crowd, frame_bytes
        self._publisher = ground.worker(Publisher(sender), "publisher")
        self._meter = Meter(ground, server, [*crowd.workers, self._publisher])

    def publish(self, count: int, rate: float, *, each: int) -> Outcome:
        """Publish *count* messages, wait for the *each* that every socket is to get, and read the clocks."""
        self._crowd.begin(self._frame_bytes)
        listening = len(self._crowd.counts())
        planned = count / rate if rate else 0.0
        self._meter.restart()
        published = self._publisher.ask(Publish(count, rate), planned + _SLACK_SECONDS)
        self._crowd.wait_for(each * listening, _SLACK_SECONDS)
        spent = self._meter.spent()
        return Outcome(each, rate, published, self._crowd.heard(), spent)

    def end(self) -> None:
        """Close all sockets, and publish no more."""
        self._publisher.end()
        self._crowd.end()

    def report(self, workload: str, target: str, parameters: Mapping[str, Parameter], outcome: Outcome) -> Report:
        """*outcome* as a line of the table."""
        spent, arrived = outcome.spent, outcome.arrived
        return Report(
            workload=workload,
            target=target,
            unit="deliveries",
            parameters=parameters,
            units=arrived,
            lost=outcome.lost,
            per_second=round(arrived / outcome.seconds, 1),
            cpu_us_per_unit=round(spent.server / max(arrived, 1) * 1e6, 3),
            server_cores=round(spent.server / spent.wall, 3),
            late_ms=Late.of(outcome.heard.latencies),
            closed=outcome.heard.closed,
            load_cores=spent.shares,
            limited_by=[*spent.limits(self._cores), *_publisher_limits(outcome)],
            extra={"repeated": outcome.repeated} if outcome.repeated else {},
            machine=facts(),
        )


def _publisher_limits(outcome: Outcome) -> list[str]:
    reached = outcome.published.count / outcome.published.seconds
    if reached >= outcome.rate * _KEPT:
        return []
    return [f"only {reached:,.0f} of {outcome.rate:,.0f} messages a second could be published"]
