"""A replica whose loop stands says so, and ends when it stands for too long."""

from __future__ import annotations

import asyncio

from fairlead_gateway.watchdog import STATUS
from tests.support.client import connected
from tests.support.replica import replicas


async def test_a_stall_is_told_of_and_one_that_is_too_long_ends_the_replica(redis_url: str, prefix: str) -> None:
    settings = {"plugins": "tests.gateway.plugged:staller", "watchdog_seconds": 3}
    with replicas(1, redis_url, prefix, **settings) as (replica,):
        async with connected(replica.url, "u") as one:
            await one.ask("stall", seconds=1.6)
            told = [event for event in replica.events() if "event loop" in str(event["event"])]
            await one.say("stall", seconds=30)
            code, _ = await one.closed(15)

        assert replica.process is not None
        status = await asyncio.to_thread(replica.process.wait, 15)

    assert [event["event"] for event in told[:1]] == ["the event loop stands"]
    assert "time.sleep" in str(told[0]["frames"])
    assert (code, status) == (1006, STATUS)
