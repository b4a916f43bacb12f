"""Keys of what a whole fleet shares: what is not about one channel."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PREFIX = re.compile(r"[A-Za-z0-9_\-.]{1,32}")


@dataclass(frozen=True, slots=True)
class FleetNames:
    """The part of `fairlead.names.Names` that knows no channel; what replicas change together has the tag ``fleet``."""

    prefix: str = "fl"

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError("a prefix is 1-32 characters of A-Z a-z 0-9 _ - .")

    @property
    def replicas(self) -> str:
        """Sorted set of live replicas, scored by when the lease ends (Redis time, ms)."""
        return f"{self.prefix}:{{fleet}}:replicas"

    @property
    def sweeping(self) -> str:
        """Sorted set of dead replicas that somebody is sweeping, scored by when to try again (ms)."""
        return f"{self.prefix}:{{fleet}}:sweeping"

    def replica(self, replica: str) -> str:
        """Hash of facts about one replica: address, version, started at."""
        return f"{self.prefix}:{{fleet}}:replica:{replica}"

    def replica_conns(self, replica: str) -> str:
        """Hash of the connections that one replica holds: connection id to user and channels."""
        return f"{self.prefix}:{{fleet}}:replica:{replica}:conns"

    def replica_instances(self, replica: str) -> str:
        """What one replica last said of its instances, as JSON: name to number of connections; for some seconds."""
        return f"{self.prefix}:{{fleet}}:replica:{replica}:instances"

    def probe(self, replica: str, partition: int | None = None) -> str:
        """Pub/sub channel on which a replica hears itself: of the fleet, or of the shard that has a partition."""
        return f"{self.prefix}:{{{'fleet' if partition is None else partition}}}:replica:{replica}:probe"

    @property
    def stats(self) -> str:
        """Hash of what replicas that are gone have counted, all together."""
        return f"{self.prefix}:{{fleet}}:stats"

    def stats_of(self, replica: str) -> tuple[str, str]:
        """Hash of what one replica has counted and what it has now, and of what of it is in `stats` already."""
        return f"{self.stats}:{replica}", f"{self.stats}:{replica}:folded"

    @property
    def stats_known(self) -> str:
        """Sorted set of replicas whose statistics are not, or not wholly, in `stats`, by their last report (ms)."""
        return f"{self.stats}:known"

    @property
    def stats_lost(self) -> str:
        """Sorted set of replicas that have died, by when somebody had swept after them (ms); bounded."""
        return f"{self.stats}:lost"

    @property
    def stats_turn(self) -> str:
        """The replica that oversees the fleet, for a moment."""
        return f"{self.stats}:turn"

    @property
    def stats_history(self) -> str:
        """Stream of what the fleet had counted, each second; bounded."""
        return f"{self.stats}:history"

    @property
    def asks_turn(self) -> str:
        """Taken by the replica whose turn it is to look for questions that are due."""
        return f"{self.prefix}:{{fleet}}:asks:turn"

    @property
    def tasks_turn(self) -> str:
        """Taken by the replica whose turn it is to look for tasks that have stalled."""
        return f"{self.prefix}:{{fleet}}:tasks:turn"

    @property
    def alerts(self) -> str:
        """Hash of what is above its threshold, or was until lately: rule and subject to JSON."""
        return f"{self.prefix}:{{fleet}}:alerts"

    @property
    def alerts_past(self) -> str:
        """Sorted set of alerts that are over, as JSON, by when that was (ms); bounded."""
        return f"{self.alerts}:past"

    @property
    def deliveries(self) -> tuple[str, str]:
        """What the webhook has yet to be told: a sorted set of ids by when (ms), and a hash of what it is told."""
        return f"{self.alerts}:due", f"{self.alerts}:deliveries"

    @property
    def deliveries_turn(self) -> str:
        """Taken by the replica whose turn it is to look for deliveries that are due."""
        return f"{self.alerts}:turn"

    @property
    def reminders(self) -> str:
        """Sorted set of the partitions with departures, scored by when to look at each (ms)."""
        return f"{self.prefix}:{{fleet}}:reminders"

    @property
    def revoked(self) -> str:
        """Stream of tokens that were revoked before their end; see `fairlead_gateway.access.revoked`."""
        return f"{self.prefix}:{{fleet}}:revoked"

    @property
    def layout(self) -> str:
        """How many partitions this prefix was made with; checked at start."""
        return f"{self.prefix}:layout"

    @property
    def ingress(self) -> str:
        """Stream through which any language sends: ``XADD fl:ingress * to user:42 message '{…}'``."""
        return f"{self.prefix}:ingress"

    @property
    def ingress_rejected(self) -> str:
        """Stream of what could not be sent, and why; bounded."""
        return f"{self.prefix}:ingress:rejected"

    @property
    def events(self) -> str:
        """Stream of what happened on any replica, for backends; bounded."""
        return f"{self.prefix}:events"

    @property
    def inbound(self) -> str:
        """Stream of what clients said, for backends; bounded."""
        return f"{self.prefix}:inbound"

    def dead(self, stream: str) -> str:
        """Stream of those entries of *stream* that no consumer could work off; bounded."""
        return f"{stream}:dead"

    @property
    def connection_history(self) -> str:
        """Stream of connections that have ended; bounded."""
        return f"{self.prefix}:history:conns"

    def ticket(self, ticket: str) -> str:
        """A single-use credential."""
        return f"{self.prefix}:ticket:{ticket}"
