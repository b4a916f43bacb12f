"""The alarm as it is part of a replica: what a replica says of itself goes off, and is over."""

from __future__ import annotations

from fairlead_gateway.admin.alarm import Alert
from tests.gateway.patience import until_asked
from tests.gateway.running import Gateway, serving, settings_for

SECONDS = 25.0


async def alerts(gateway: Gateway, rule: str, state: str) -> list[Alert]:
    found = await gateway.manager._parts.administration.alarms.alarm.alerts()
    return [one for one in found if (one["rule"], one["state"]) == (rule, state)]


async def test_a_replica_that_hears_nothing_is_told_of_and_told_of_again_when_it_does(redis_url: str) -> None:
    async with serving(settings_for(redis_url, alerts=("receive_silent=3/0",))) as gateway:
        links = gateway.manager._parts._links
        links.hold()
        await until_asked(lambda: alerts(gateway, "receive_silent", "firing"), SECONDS, "it goes off")
        (alert,) = await alerts(gateway, "receive_silent", "firing")
        links.release()
        await until_asked(lambda: alerts(gateway, "receive_silent", "resolved"), SECONDS, "it is over")

    assert alert["replica"] == gateway.manager.replica_id and alert["value"] > 3
