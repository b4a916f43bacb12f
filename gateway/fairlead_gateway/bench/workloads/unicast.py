"""Many users, one channel and one socket each, and messages to each in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Parameter, Report
from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.measure import Stage
from fairlead_gateway.bench.replica import Replica
from fairlead_gateway.bench.workloads.fanout import sampled_roles


@dataclass(frozen=True, slots=True)
class Unicast:
    """
    :param rate: messages a second to all users together.
    :param durable: with positions, as most messages to users have; else ephemeral.
    """

    users: int = 1000
    rate: float = 60_000.0
    size: int = 200
    durable: bool = True
    seconds: float = 5.0
    warm_seconds: float = 1.0
    sampled: int = 25

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        if self.durable:
            target.begin_durable(ground, self.users)
        server = target.start(ground)
        crowd = Crowd.of(ground)
        roles = sampled_roles(self.users, self.sampled)
        crowd.open(server.port, [target.user(server.port, number, role) for number, role in enumerate(roles)])
        stage = self._stage(ground, target, server, crowd)
        warm, each = (max(1, round(self.rate * seconds / self.users)) for seconds in (self.warm_seconds, self.seconds))
        stage.publish(warm * self.users, self.rate, each=warm)
        outcome = stage.publish(each * self.users, self.rate, each=each)
        kind = "durable" if self.durable else "ephemeral"
        parameters: dict[str, Parameter] = {"users": self.users, "rate": self.rate, "size": self.size, "kind": kind}
        yield stage.report("unicast", target.name, parameters, outcome)

    def _stage(self, ground: Ground, target: Replica, server: Server, crowd: Crowd) -> Stage:
        if self.durable:
            sender = target.durable_sender(ground, self.size, self.users)
            return Stage(ground, server, crowd, sender, target.durable_frame_bytes(self.size))
        sender = target.user_sender(ground, self.size, self.users)
        return Stage(ground, server, crowd, sender, target.frame_bytes(self.size))
