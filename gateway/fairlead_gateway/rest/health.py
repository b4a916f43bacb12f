"""``health``: how the whole fleet is, as far as any replica can tell."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from fairlead.errors import Unavailable
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.admin import health
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.route import Asked, Nothing, Params, Rows, View, row


class ReplicaHealth(View):
    """One replica."""

    replica: str
    status: Literal["healthy", "draining", "unhealthy", "silent"]
    """``silent`` lives and does not answer."""
    checks: dict[str, bool]
    """What ``/readyz`` says there."""


class RedisServer(View):
    """One server of Redis or Valkey."""

    name: str
    """Host, port and database."""
    reachable: bool
    version: str
    memory_bytes: int
    max_memory_bytes: int
    """0 for as much as there is."""


class RedisHealth(View):
    """Where replicas meet."""

    reachable: bool
    """Whether all of it is."""
    servers: list[RedisServer]


class FleetHealth(View):
    """All of it."""

    status: Literal["healthy", "degraded", "unhealthy"]
    replicas: list[ReplicaHealth]
    redis: RedisHealth
    alerts: int
    """How many are firing."""


async def get_health(asked: Asked[Params, Nothing]) -> FleetHealth:
    """
    How the whole fleet is.

    Unhealthy when no replica is ready for clients, or no Redis can be reached; degraded when a replica is not well or
    does not answer, a part of Redis cannot be reached, or a critical alert is firing.
    """
    api = asked.api
    replicas, servers, firing = await asyncio.gather(
        health.conditions(api.surveys, api.replica.id, api.readiness()), api.administration.servers(), _firing(api)
    )
    critical = sum(1 for severity in firing if severity == "critical")
    return FleetHealth(
        status=health.judged(replicas, servers, critical),
        replicas=[ReplicaHealth(replica=one.replica, status=one.status, checks=dict(one.checks)) for one in replicas],
        redis=RedisHealth(
            reachable=all(server.reachable for server in servers),
            servers=[RedisServer.model_validate(server) for server in servers],
        ),
        alerts=len(firing),
    )


async def _firing(api: Api) -> list[str]:
    """The severity of each alert that is firing; none while Redis cannot be reached."""
    try:
        alerts = await api.administration.alarms.alarm.alerts()
    except Unavailable:
        return []
    return [str(alert["severity"]) for alert in alerts if alert["state"] == "firing"]


ROWS: Final[Rows] = (row("GET", "/health", Rank.VIEWER, get_health, answer=FleetHealth),)
