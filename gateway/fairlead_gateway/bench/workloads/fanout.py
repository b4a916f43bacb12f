"""One publisher, many sockets on one topic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Report
from fairlead_gateway.bench.ground import Ground
from fairlead_gateway.bench.measure import Stage
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.target import Target

SWEEP: Final = (100.0, 400.0, 1000.0, 2500.0)
"""From a quiet replica to one that has no time left but writes many messages at once."""


@dataclass(frozen=True, slots=True)
class Fanout:
    """
    :param rates: messages a second, one line of the table each.
    :param sampled: sockets whose messages are read; the others' are counted.
    """

    sockets: int = 1000
    rates: Sequence[float] = (100.0,)
    size: int = 200
    seconds: float = 5.0
    warm_seconds: float = 1.0
    sampled: int = 25

    def __call__(self, ground: Ground, target: Target) -> Iterator[Report]:
        server = target.start(ground)
        crowd = Crowd.of(ground)
        roles = sampled_roles(self.sockets, self.sampled)
        crowd.open(server.port, [target.listener(server.port, number, role) for number, role in enumerate(roles)])
        stage = Stage(ground, server, crowd, target.sender(ground, self.size), target.frame_bytes(self.size))
        for rate in self.rates:
            warm, count = (max(1, round(rate * seconds)) for seconds in (self.warm_seconds, self.seconds))
            stage.publish(warm, rate, each=warm)
            outcome = stage.publish(count, rate, each=count)
            parameters = {"sockets": self.sockets, "rate": rate, "size": self.size}
            yield stage.report("fanout", target.name, parameters, outcome)


def sampled_roles(sockets: int, sampled: int) -> list[Role]:
    """*sampled* of so many sockets are read, evenly spread among the others."""
    sampled = min(sampled, sockets)
    chosen = {round(at * sockets / sampled) for at in range(sampled)} if sampled else set()
    return [Role.SAMPLED if number in chosen else Role.COUNTED for number in range(sockets)]
