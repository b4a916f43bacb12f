"""The fleet at a glance: what the overseer sees each second, and hands to whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from fairlead.format.messages import rfc3339
from fairlead.state.statistics import TEN
from fairlead_gateway.admin.samples import Sample, rates, sample_of, spread
from fairlead_gateway.facts.statistics import Said, Sums
from fairlead_gateway.monitor.counters import COUNTED

GAUGES: Final = (
    "total_connections",
    "active_connections",
    "total_user_connections",
    "total_session_connections",
    "queued_bytes",
    "queued_entries",
)
"""What of the figures there is now, on each replica; users and sessions are counted over all of them at once."""

Rates: TypeAlias = Mapping[str, float]
"""By counter: ``messages_sent``, ``messages_received``, ``connections_opened``, ``disconnections``, ``errors``,
``slow_consumers``, ``messages_dropped``; per second."""

Percentiles: TypeAlias = Mapping[str, Mapping[str, float | int]]
"""Of ``round_trip_ms``, ``action_ms`` and ``delivery_ms``: ``p50``, ``p90``, ``p99`` (ms) and ``count``."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one replica, or of all together: how much there is now, and how much there was since the beginning."""

    total_connections: int = 0
    """Connections that are held."""
    active_connections: int = 0
    """Of those, how many have been heard of within their heartbeat."""
    messages_sent: int = 0
    messages_received: int = 0
    disconnections: int = 0
    errors: int = 0
    active_users: int = 0
    """Users with a connection: each once, over all replicas as well."""
    active_sessions: int = 0
    """Sessions with somebody in them: likewise."""
    total_user_connections: int = 0
    total_session_connections: int = 0
    connections_opened: int = 0
    slow_consumers: int = 0
    messages_dropped: int = 0
    queued_bytes: int = 0
    """Bytes of messages that wait on replicas for a fan-out under way."""
    queued_entries: int = 0
    """Entries of streams (events, what clients said) that wait on replicas for Redis."""
    silent_seconds: int = 0
    """For how long a replica has not heard itself through Redis; of the fleet: the longest."""
    is_ready: bool = True
    """Whether clients should be sent there; of the fleet: whether that is true of any replica."""

    @property
    def ten(self) -> dict[str, int]:
        """The statistics of the source documents."""
        return {name: getattr(self, name) for name in TEN}

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Overview:
    """The fleet at one moment."""

    at: datetime
    """By the clock of Redis."""
    fleet: Figures
    """Sums over all replicas that there have ever been; none of them goes down because a replica has died."""
    replicas: Mapping[str, Figures]
    """By replica, those alive and those `lost`; of the lost what they said last."""
    alive: frozenset[str]
    """Replicas whose lease has not ended."""
    lost: frozenset[str]
    """Replicas that died within the last minutes; one that ended as it should is not among them."""
    replaced: frozenset[str]
    """Of the `lost` those whose place another one has taken (see `replaced`)."""
    rates: Rates
    """Over the last minute."""
    percentiles: Percentiles
    """Over the last minute."""

    def as_json(self) -> dict[str, Any]:
        """As ``stats_update`` says it."""
        return {
            **self.fleet.ten,
            "at": rfc3339(self.at),
            "rates": dict(self.rates),
            "percentiles": {name: dict(points) for name, points in self.percentiles.items()},
            "replicas": [
                {"replica": replica, "is_alive": replica in self.alive, **figures.ten}
                for replica, figures in sorted(self.replicas.items())
            ],
        }


def overview(sums: Sums, users: int, sessions: int, before: Sample | None) -> tuple[Overview, Sample]:
    """
    What the sums of all replicas come to, and the sample to remember of it.

    :param users: who is online on any replica.
    :param sessions: those with somebody in them on any replica.
    :param before: the sample that rates and percentiles are differences to.
    """
    alive = frozenset(replica for replica, said in sums.replicas.items() if said.is_alive)
    here = [sums.replicas[replica].gauges for replica in alive]
    fleet = Figures(
        **{name: sum(gauges.get(name, 0) for gauges in here) for name in GAUGES},
        **{name: sums.counters.get(name, 0) for name in COUNTED},
        active_users=users,
        active_sessions=sessions,
        silent_seconds=max((gauges.get("silent_seconds", 0) for gauges in here), default=0),
        is_ready=any(gauges.get("is_ready") for gauges in here),
    )
    sample = sample_of(sums.now_ms, asdict(fleet), sums.counters)
    return (
        Overview(
            at=datetime.fromtimestamp(sums.now_ms / 1000, UTC),
            fleet=fleet,
            replicas={replica: figures_of(said) for replica, said in sums.replicas.items()},
            alive=alive,
            lost=frozenset(sums.replicas) - alive,
            replaced=replaced(sums.replicas),
            rates=rates(before, sample),
            percentiles=spread(before, sample),
        ),
        sample,
    )


def replaced(replicas: Mapping[str, Said]) -> frozenset[str]:
    """
    Those of the dead after whom another one began at the same place: host and port.

    Each newcomer takes the place of one, and keeps it when it dies in turn: then it is itself the one that is missed.
    All times are of one machine's clock, since the places are.
    """
    told = {replica: said.gauges for replica, said in replicas.items() if said.gauges.get("place")}
    newcomers = sorted(told, key=lambda replica: told[replica].get("began_ms", 0))
    found = set()
    for dead in sorted(told, key=lambda replica: told[replica].get("heard_ms", 0)):
        if replicas[dead].is_alive:
            continue
        place, heard = told[dead]["place"], told[dead].get("heard_ms", 0)
        for newcomer in newcomers:
            if told[newcomer]["place"] == place and told[newcomer].get("began_ms", 0) > heard:
                newcomers.remove(newcomer)
                found.add(dead)
                break
    return frozenset(found)


def figures_of(said: Said) -> Figures:
    """What one replica has said of itself."""
    return Figures(
        **{name: said.gauges.get(name, 0) for name in (*GAUGES, "active_users", "active_sessions")},
        **{name: said.counters.get(name, 0) for name in COUNTED},
        silent_seconds=said.gauges.get("silent_seconds", 0),
        is_ready=said.is_alive and bool(said.gauges.get("is_ready")),
    )
