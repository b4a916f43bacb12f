"""Many users, one channel and one socket each, and messages to each in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Report
from fairlead_gateway.bench.ground import Ground
from fairlead_gateway.bench.measure import Stage
from fairlead_gateway.bench.replica import Replica
from fairlead_gateway.bench.workloads.fanout import sampled_roles


@dataclass(frozen=True, slots=True)
class Unicast:
    """
    :param rate: messages a second to all users together.
    """

    users: int = 1000
    rate: float = 60_000.0
    size: int = 200
    seconds: float = 5.0
    warm_seconds: float = 1.0
    sampled: int = 25

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        server = target.start(ground)
        crowd = Crowd.of(ground)
        roles = sampled_roles(self.users, self.sampled)
        crowd.open(server.port, [target.user(server.port, number, role) for number, role in enumerate(roles)])
        sender = target.user_sender(ground, self.size, self.users)
        stage = Stage(ground, server, crowd, sender, target.frame_bytes(self.size))
        warm, each = (max(1, round(self.rate * seconds / self.users)) for seconds in (self.warm_seconds, self.seconds))
        stage.publish(warm * self.users, self.rate, each=warm)
        outcome = stage.publish(each * self.users, self.rate, each=each)
        parameters = {"users": self.users, "rate": self.rate, "size": self.size}
        yield stage.report("unicast", target.name, parameters, outcome)
