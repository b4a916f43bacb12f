"""How the fleet is, from what its parts say of themselves."""

from __future__ import annotations

import pytest

from fairlead_gateway.admin.health import Condition, condition, judged
from fairlead_gateway.admin.servers import Server

HERE, AWAY = Server("one", True), Server("two", False)
WELL = {"redis": True, "hears_itself": True, "open": True}


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ({"checks": WELL}, "healthy"),
        ({"checks": {**WELL, "open": False}}, "draining"),
        ({"checks": {**WELL, "hears_itself": False}}, "unhealthy"),
        ({"checks": {**WELL, "redis": False, "open": False}}, "unhealthy"),
        ({"checks": {**WELL, "redis": "yes"}}, "unhealthy"),
        ({"checks": {}}, "unhealthy"),
        ({"checks": ["redis"]}, "unhealthy"),
        ({}, "unhealthy"),
    ],
)
def test_a_replica_is_what_its_checks_say(found: dict[str, object], status: str) -> None:
    assert condition("r1", found).status == status


@pytest.mark.parametrize(
    ("states", "servers", "critical", "status"),
    [
        (["healthy", "healthy"], [HERE], 0, "healthy"),
        (["healthy", "draining"], [HERE], 0, "healthy"),
        (["healthy", "silent"], [HERE], 0, "degraded"),
        (["healthy", "unhealthy"], [HERE], 0, "degraded"),
        (["healthy"], [HERE, AWAY], 0, "degraded"),
        (["healthy"], [HERE], 1, "degraded"),
        (["draining"], [HERE], 0, "unhealthy"),
        (["unhealthy", "silent"], [HERE], 0, "unhealthy"),
        (["healthy"], [AWAY], 0, "unhealthy"),
        ([], [HERE], 0, "unhealthy"),
    ],
)
def test_the_fleet_is_as_well_as_what_is_left_of_it(
    states: list[str], servers: list[Server], critical: int, status: str
) -> None:
    replicas = [Condition(f"r{number}", state, {}) for number, state in enumerate(states)]  # type: ignore[arg-type]

    assert judged(replicas, servers, critical) == status
