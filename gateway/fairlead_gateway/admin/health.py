"""Health: what every replica and every server of Redis say of themselves, judged together (ADM-5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from fairlead.errors import Unavailable
from fairlead_gateway.admin.servers import Server
from fairlead_gateway.admin.surveys import Answer, Found, Surveys
from fairlead_gateway.sessions.replica import Replica

Status: TypeAlias = Literal["healthy", "degraded", "unhealthy"]

State: TypeAlias = Literal["healthy", "draining", "unhealthy", "silent"]

HEALTH: Final = "health"
"""The question that replicas are asked."""


class Condition(NamedTuple):
    """Of one replica."""

    replica: str
    status: State
    """``draining`` when it is well and wants no more clients; ``silent`` when it lives and does not answer."""
    checks: Mapping[str, bool]


def answer(readiness: Callable[[], Mapping[str, bool]]) -> Answer:
    """What a replica with this *readiness* answers to `HEALTH`."""

    async def health(replica: Replica, about: Mapping[str, Any]) -> Found:
        """What is well here, and what is not."""
        return {"checks": dict(readiness())}

    return health


async def conditions(surveys: Surveys, replica: str, readiness: Mapping[str, bool]) -> list[Condition]:
    """
    How every replica is.

    :param replica: who asks; all that is known when Redis cannot be reached is its *readiness*.
    """
    try:
        survey = await surveys.ask(HEALTH)
    except Unavailable:
        return [condition(replica, {"checks": dict(readiness)})]
    told = [condition(name, found) for name, found in sorted(survey.found.items())]
    return [*told, *(Condition(name, "silent", {}) for name in survey.silent)]


def condition(replica: str, found: Found) -> Condition:
    """What a replica has *found* of itself; it came through Redis, and is not trusted."""
    said = found.get("checks")
    checks = {str(name): value is True for name, value in said.items()} if isinstance(said, Mapping) else {}
    wrong = {name for name, good in checks.items() if not good}
    state: State = "unhealthy" if wrong - {"open"} or not checks else "draining" if wrong else "healthy"
    return Condition(replica, state, checks)


def judged(replicas: Iterable[Condition], servers: Iterable[Server], critical_alerts: int) -> Status:
    """How the fleet is: unhealthy when it serves nobody, degraded when it serves fewer than it should."""
    states = [one.status for one in replicas]
    reached = [server.reachable for server in servers]
    if "healthy" not in states or not any(reached):
        return "unhealthy"
    is_whole = all(reached) and not critical_alerts and not {"silent", "unhealthy"} & set(states)
    return "healthy" if is_whole else "degraded"
