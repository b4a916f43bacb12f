"""What a replica needs to show and steer the fleet, made of its other parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from fairlead.format.control import Finding, SurveyOrder
from fairlead.redis.shards import Shards
from fairlead_gateway.admin import health
from fairlead_gateway.admin.alarms import alarms
from fairlead_gateway.admin.answers import ANSWERS
from fairlead_gateway.admin.metrics import Parts, registry
from fairlead_gateway.admin.overseer import Overseer
from fairlead_gateway.admin.servers import Server, servers
from fairlead_gateway.admin.surveys import Surveys
from fairlead_gateway.admin.vitals import vitals
from fairlead_gateway.facts.statistics import Statistics
from fairlead_gateway.monitor import ConnectionMonitor
from fairlead_gateway.monitor.ages import Ages
from fairlead_gateway.sessions.tasks import Tasks


class Administration:
    """The parts of one replica that operators deal with."""

    def __init__(self, parts: Parts, shards: Shards, statistics: Statistics, ages: Ages) -> None:
        self._parts = parts
        self._ages = ages
        replica = parts.replica
        self.surveys = Surveys(replica, {**ANSWERS, health.HEALTH: health.answer(parts.readiness)})
        for channel in self.surveys.channels:
            replica.interest.keep(replica.names.pubsub(channel).encode(), channel)
        self.statistics = statistics
        self.monitor = ConnectionMonitor(replica.pool, replica.counters, replica.quiet)
        self.overseer = Overseer(statistics, replica.publisher, self._vitals, lambda: parts.leases.is_held)
        self.alarms = alarms(replica, shards, self.overseer)
        self.metrics = registry(replace(parts, webhook=self.alarms.webhook))
        self.servers: Callable[[], Awaitable[list[Server]]] = partial(servers, shards)
        """The servers of Redis, as they are now."""

    def keep(self, services: Tasks) -> None:
        """Begin to report, to oversee when it is this replica's turn, and to tell of alerts."""
        services.keep(self.overseer.run, name="overseer")
        services.keep(partial(self._parts.replica.taps.run, self._parts.replica), name="taps")
        services.keep(partial(self._parts.replica.watches.run, self._parts.replica), name="watches")
        self.alarms.keep(services)

    async def end(self) -> None:
        """Report for the last time."""
        await self.overseer.end()

    def obey(self, order: SurveyOrder | Finding) -> None:
        """Somebody asks, or answers what was asked here."""
        if isinstance(order, SurveyOrder):
            self.surveys.obey(order)
        else:
            self.surveys.answered(order)

    def _vitals(self) -> dict[str, int]:
        """What this replica reports, each second."""
        self._ages.tune()
        return vitals(self._parts, self.monitor)
