"""``stats``: the figures of the fleet and of each replica, now and over the last minute and hour (ADM-3)."""

from __future__ import annotations

from typing import Final, Literal

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.admin.overview import Overview
from fairlead_gateway.admin.past import WINDOWS, past
from fairlead_gateway.rest.route import Asked, Moment, Nothing, Params, Rows, View, row


class Ten(View):
    """The ten figures of the source documents."""

    total_connections: int
    active_connections: int
    messages_sent: int
    messages_received: int
    disconnections: int
    errors: int
    active_users: int
    active_sessions: int
    total_user_connections: int
    total_session_connections: int


class OfReplica(Ten):
    """Those of one replica."""

    replica: str


class Rates(View):
    """How much of it there was per second."""

    messages_sent: float
    messages_received: float
    connections_opened: float
    disconnections: float
    errors: float
    slow_consumers: float
    messages_dropped: float


class Stats(Ten):
    """The fleet, now."""

    at: Moment
    replicas: list[OfReplica]
    """Those that are alive; sums over all of them count what others had before they ended."""
    rates: Rates
    """Over the last minute."""


class Percentiles(View):
    """Of what took so many milliseconds."""

    p50: float
    p90: float
    p99: float
    count: int
    """How many were measured."""


class Spread(View):
    """How long things took."""

    round_trip_ms: Percentiles
    """From a ping of the heartbeat to its pong."""
    action_ms: Percentiles
    """From the beginning of a client's action to its answer."""
    delivery_ms: Percentiles
    """From publishing to handing on, of some messages."""


class Point(View):
    """What there was at one time, and how much per second since the point before."""

    at: Moment
    connections: int
    users: int
    sessions: int
    messages_sent: float
    messages_received: float
    connections_opened: float
    disconnections: float
    errors: float


class Window(Params):
    """How far back."""

    window: Literal["minute", "hour"] = "minute"


class Past(View):
    """What there was in a window, oldest first."""

    window: str
    step_seconds: int
    points: list[Point]
    rates: Rates
    percentiles: Spread


async def get_stats(asked: Asked[Params, Nothing]) -> Stats:
    """The ten figures of the fleet and of each replica, and rates of the last minute."""
    return stats_of(await asked.api.administration.overseer.see())


async def get_stats_history(asked: Asked[Window, Nothing]) -> Past:
    """Figures, rates and percentiles of the last minute, second by second, or of the last hour."""
    window = asked.params.window
    found = past(await asked.api.administration.overseer.samples(WINDOWS[window]))
    return Past.model_validate({"window": window, "step_seconds": WINDOWS[window].step_seconds, **found})


def stats_of(seen: Overview) -> Stats:
    replicas = [OfReplica(replica=name, **seen.replicas[name].ten) for name in sorted(seen.alive)]
    return Stats(**seen.fleet.ten, at=seen.at, replicas=replicas, rates=Rates.model_validate(seen.rates))


ROWS: Final[Rows] = (
    row("GET", "/stats", Rank.VIEWER, get_stats, answer=Stats),
    row("GET", "/stats/history", Rank.VIEWER, get_stats_history, params=Window, answer=Past),
)
