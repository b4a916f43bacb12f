"""Metrics: what a replica knows about itself, as Prometheus reads it; nothing is counted for this (ADM-4)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from fairlead.codes import word_of
from fairlead.names import BROADCAST, KINDS, kind_of
from fairlead.version import __version__
from fairlead_gateway.admin.webhook import Webhook
from fairlead_gateway.dispatch.dispatcher import MessageDispatcher
from fairlead_gateway.dispatch.links import Links
from fairlead_gateway.facts.leases import Leases
from fairlead_gateway.facts.streams import Streams
from fairlead_gateway.monitor.histograms import BOUNDS, Histogram
from fairlead_gateway.sessions.replica import Replica


@dataclass(frozen=True, slots=True)
class Parts:
    """What is read when somebody scrapes, and when the replica reports."""

    replica: Replica
    dispatcher: MessageDispatcher
    links: Links
    leases: Leases
    streams: Streams
    readiness: Callable[[], Mapping[str, bool]]
    webhook: Webhook | None = None
    began_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    """When the replica began, by its own clock."""


Values: TypeAlias = Mapping[tuple[str, ...], float]
"""By the values of the labels, in their order; ``()`` where there are none."""

Read: TypeAlias = Callable[[Parts], "Values | float"]


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. Labels have few values, all of our making: never a user, a channel or a session."""

    name: str
    """Without the ``_total`` that counters end with."""
    about: str
    family: type[CounterMetricFamily] | type[GaugeMetricFamily]
    read: Read
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """One histogram, in seconds."""

    name: str
    about: str
    read: Callable[[Parts], Histogram]
    per_second: int = 1000
    """Of the unit that is counted in."""


def _counter(name: str, about: str, read: Read, *labels: str) -> Row:
    return Row(name, about, CounterMetricFamily, read, labels)


def _gauge(name: str, about: str, read: Read, *labels: str) -> Row:
    return Row(name, about, GaugeMetricFamily, read, labels)


def _channels(parts: Parts) -> Values:
    """Channels with a socket here, by kind; those that nobody can name are only counted where they are."""
    counts = Counter(kind_of(name) for name, _ in parts.replica.pool.channels())
    return {(kind,): counts[kind] for kind in (*KINDS, BROADCAST)}


def _closed(parts: Parts) -> Values:
    closes = parts.replica.counters.closes
    return {(str(code), word_of(code)): count for code, count in sorted(closes.items())}


def _deliveries(parts: Parts) -> Values:
    hook = parts.webhook
    return {("delivered",): hook.delivered if hook else 0, ("failed",): hook.failed if hook else 0}


def _by(counts: Mapping[str, int]) -> Values:
    return {(kind,): count for kind, count in counts.items()}


METRICS: Final = (
    _gauge("fairlead_build_info", "1, by the version that runs.", lambda parts: {(__version__,): 1}, "version"),
    _gauge("fairlead_ready", "1 while clients should be sent here.", lambda parts: all(parts.readiness().values())),
    # -- who is here
    _gauge("fairlead_connections", "Connections now.", lambda parts: len(parts.replica.pool)),
    _gauge("fairlead_channels", "Channels that somebody hears here, by kind; of user: users.", _channels, "kind"),
    _counter(
        "fairlead_connections_opened", "Connections greeted.", lambda parts: parts.replica.counters.connections_opened
    ),
    _counter("fairlead_connections_closed", "Greeted connections that ended.", _closed, "code", "word"),
    _counter(
        "fairlead_connections_refused",
        "Clients sent away before they were greeted.",
        lambda parts: _by(parts.replica.tallies.refusals),
        "word",
    ),
    # -- what is said
    _counter(
        "fairlead_messages_received",
        "Frames of clients, whatever came of them.",
        lambda parts: parts.replica.counters.messages_received,
    ),
    _counter(
        "fairlead_messages_sent",
        "Messages handed to sockets, once for each socket; no replies.",
        lambda parts: parts.replica.counters.messages_sent,
    ),
    _counter(
        "fairlead_messages_dropped",
        "Messages from Redis that nobody can read.",
        lambda parts: parts.replica.counters.messages_dropped,
    ),
    _counter(
        "fairlead_messages_repaired",
        "Messages that Redis did not bring, read from their channel's log instead.",
        lambda parts: parts.replica.tracks.tally.repaired,
    ),
    _counter(
        "fairlead_histories_broken",
        "Times that the history of a channel was gone and its clients were told to reload.",
        lambda parts: parts.replica.tracks.tally.broken,
    ),
    _counter(
        "fairlead_recoveries",
        "Channels in which a client came back with a position, by whether nothing was lost.",
        lambda parts: _by(parts.replica.tallies.recoveries),
        "recovered",
    ),
    _counter("fairlead_errors", "Error frames.", lambda parts: _by(parts.replica.tallies.errors), "code"),
    _gauge(
        "fairlead_fanout_backlog_bytes",
        "Bytes of messages that wait behind a fan-out under way.",
        lambda parts: parts.dispatcher.backlog_bytes,
    ),
    # -- Redis
    _gauge("fairlead_redis_link_up", "1 while messages come through of every Redis.", lambda parts: parts.links.is_up),
    _gauge(
        "fairlead_redis_hears_itself",
        "1 while what this replica publishes comes back to it of every Redis.",
        lambda parts: parts.links.hears_itself,
    ),
    _counter("fairlead_redis_link_losses", "Pub/sub connections lost.", lambda parts: parts.links.losses),
    _gauge("fairlead_lease_held", "1 while Redis knows that this replica lives.", lambda parts: parts.leases.is_held),
    _gauge(
        "fairlead_streams_owed_entries",
        "Entries for backends that wait for Redis.",
        lambda parts: parts.streams.waiting,
    ),
    _counter(
        "fairlead_streams_dropped_entries",
        "Entries for backends that were lost while Redis was away.",
        lambda parts: parts.streams.dropped,
    ),
    # -- questions
    _counter(
        "fairlead_questions_resolved",
        "Questions whose end this replica told, by how they ended.",
        lambda parts: _by(parts.replica.tallies.questions),
        "outcome",
    ),
    # -- alerts
    _counter(
        "fairlead_webhook_deliveries",
        "Alerts that this replica told the webhook, and rounds of attempts that came to nothing.",
        _deliveries,
        "result",
    ),
    # -- the process
    _gauge(
        "fairlead_background_tasks", "Tasks of this replica that run now.", lambda parts: parts.replica.tasks.running
    ),
)
"""Every metric but the histograms and those of the process (CPU, memory, file descriptors, start)."""

HISTOGRAMS: Final = (
    Measured(
        "fairlead_ping_round_trip_seconds",
        "From a ping of the heartbeat to its pong.",
        lambda parts: parts.replica.counters.round_trip_ms,
    ),
    Measured(
        "fairlead_action_duration_seconds",
        "From the moment an action of a client is begun to its answer; ping is left out.",
        lambda parts: parts.replica.counters.action_ms,
    ),
    Measured(
        "fairlead_delivery_lag_seconds",
        "Age of some messages when they are handed on; between machines as true as their clocks.",
        lambda parts: parts.replica.counters.delivery_ms,
    ),
    Measured(
        "fairlead_question_wait_seconds",
        "How long questions had been open whose end this replica told.",
        lambda parts: parts.replica.tallies.question_seconds,
        per_second=1,
    ),
    Measured(
        "fairlead_loop_lag_seconds",
        "How late the event loop came to what was due, looked at once a second.",
        lambda parts: parts.replica.tallies.loop_lag_ms,
    ),
)

PROCESS: Final = {
    "process_cpu_seconds": "CPU time spent.",
    "process_resident_memory_bytes": "Memory held.",
    "process_virtual_memory_bytes": "Address space.",
    "process_start_time_seconds": "When the process began (Unix seconds).",
    "process_open_fds": "Open file descriptors.",
    "process_max_fds": "How many it may have open.",
}
"""What `prometheus_client` tells of the process, under the names that every exporter uses."""


class ReplicaCollector(Collector):
    """Reads counters and gauges of one replica when it is asked."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        for row in METRICS:
            family = row.family(row.name, row.about, labels=row.labels)
            found = row.read(self._parts)
            for labels, value in (found if isinstance(found, Mapping) else {(): found}).items():
                family.add_metric(labels, float(value))
            yield family
        for measured in HISTOGRAMS:
            yield _histogram(measured, measured.read(self._parts))


def registry(parts: Parts) -> CollectorRegistry:
    """A registry of one replica, of which there may be several in a process; not the one that libraries share."""
    made = CollectorRegistry(auto_describe=False)
    made.register(ReplicaCollector(parts))
    ProcessCollector(registry=made)
    return made


def _histogram(measured: Measured, histogram: Histogram) -> HistogramMetricFamily:
    ends = (*(f"{bound / measured.per_second:g}" for bound in BOUNDS), "+Inf")
    total = histogram.micros / 1000 / measured.per_second
    buckets = list(zip(ends, map(float, accumulate(histogram.counts)), strict=True))
    return HistogramMetricFamily(measured.name, measured.about, buckets=buckets, sum_value=total)
