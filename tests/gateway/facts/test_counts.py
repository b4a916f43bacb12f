"""How many are in each instance, as each replica writes it down (ADM-3)."""

from __future__ import annotations

from redis.asyncio import Redis

from fairlead.names import Names
from fairlead.state import presence
from fairlead_gateway.facts.counts import KEPT_SECONDS, InstanceCounts
from fairlead_gateway.facts.lane import Lane


async def test_what_changes_is_written_down_and_what_does_not_only_now_and_then(redis: Redis, names: Names) -> None:
    lane, here = Lane(redis), {"instance:demo": 2, "instance:x:y": 1}
    counts = InstanceCounts(lane, names, "r1", lambda: here.items())
    key = names.replica_instances("r1")

    async def read() -> dict[str, int]:
        (command,) = presence.instance_counts(names, ["r1"]).commands
        return presence.instance_counts(names, ["r1"]).read([await redis.execute_command(*command)])

    await counts.beat()
    assert await read() == {"demo": 2, "x:y": 1}
    assert KEPT_SECONDS - 2 < await redis.ttl(key) <= KEPT_SECONDS

    await redis.delete(key)
    for _ in range(2):
        await counts.beat()
        assert not await redis.exists(key), "nothing has changed"
    await counts.beat()
    assert await read() == {"demo": 2, "x:y": 1}

    here["instance:demo"] = 1
    await counts.beat()
    assert await read() == {"demo": 1, "x:y": 1}

    here.clear()
    await counts.beat()
    assert not await redis.exists(key)
    await lane.aclose()


async def test_a_replica_that_ends_takes_its_counts_with_it(redis: Redis, names: Names) -> None:
    lane = Lane(redis)
    counts = InstanceCounts(lane, names, "r1", lambda: [("instance:demo", 1)])
    await counts.beat()

    await counts.end()

    assert not await redis.exists(names.replica_instances("r1"))
    await lane.aclose()
