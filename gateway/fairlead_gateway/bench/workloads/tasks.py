"""Many tasks, each watched by one socket, and updates of each in turn, said as backends say them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.sync.backend import SyncBackend, connect_sync
from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Parameter, Report
from fairlead_gateway.bench.ground import Ground
from fairlead_gateway.bench.measure import Stage
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.replica import Replica
from fairlead_gateway.bench.stamps import stamp


class TaskSender:
    """Updates tasks in turn through the package; what is due at the same moment goes together."""

    def __init__(self, url: str, prefix: str, tasks: list[str]) -> None:
        self._url, self._prefix, self._tasks = url, prefix, tasks
        self._next = 0
        self._fl: SyncBackend

    def connect(self) -> None:
        self._fl = connect_sync(self._url, prefix=self._prefix)

    def send(self, count: int) -> None:
        with self._fl.batch():
            for number in range(self._next, self._next + count):
                turn, which = divmod(number, len(self._tasks))
                self._fl.update_task(
                    self._tasks[which],
                    status="running",
                    progress=turn % 101,
                    current_device=f"switch-{turn}",
                    total_devices=100,
                    completed_devices=turn,
                    t=stamp(),
                )
        self._next += count

    def finish(self) -> None:
        """Each batch was waited for."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """
    :param rate: updates a second of all tasks together.
    """

    tasks: int = 1000
    rate: float = 1000.0
    seconds: float = 5.0
    warm_seconds: float = 1.0

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        server = target.start(ground)
        crowd = Crowd.of(ground)
        names = [f"bench-{number}" for number in range(self.tasks)]
        # All are read, as no two updates need have the same size.
        openings = [target.watcher(server.port, number, name, Role.SAMPLED) for number, name in enumerate(names)]
        crowd.open(server.port, openings)
        sender = TaskSender(ground.store.url, target.names.prefix, names)
        stage = Stage(ground, server, crowd, sender, 1)
        warm, each = (max(1, round(self.rate * seconds / self.tasks)) for seconds in (self.warm_seconds, self.seconds))
        stage.publish(warm * self.tasks, self.rate, each=warm)
        outcome = stage.publish(each * self.tasks, self.rate, each=each)
        parameters: dict[str, Parameter] = {"tasks": self.tasks, "rate": self.rate}
        yield stage.report("tasks", target.name, parameters, outcome)
