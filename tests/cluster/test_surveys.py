"""What one replica is asked is answered by whichever replicas know."""

from __future__ import annotations

from tests.support.client import connected
from tests.support.replica import Replica
from tests.support.rest import rest


async def test_a_connection_is_found_through_any_replica(fleet: list[Replica]) -> None:
    async with connected(fleet[0].url, "42") as socket:
        id = socket.frames[0]["connection_id"]
        for replica in fleet:
            async with rest(replica) as api:
                found = await api.get(f"/connections/{id}")
            assert (found["connection_id"], found["user_id"], found["is_alive"]) == (id, "42", True)
            assert found["replica"].startswith("r1-")


async def test_a_connection_that_is_not_there_is_not_found(fleet: list[Replica]) -> None:
    async with rest(fleet[0]) as api:
        assert await api.refused("GET", "/connections/none") == (404, "not_found")


async def test_who_has_no_rank_sees_nothing(fleet: list[Replica]) -> None:
    async with rest(fleet[0], role="") as api:
        assert await api.refused("GET", "/connections/none") == (403, "forbidden")
    async with rest(fleet[0], user="") as api:
        assert await api.refused("GET", "/connections/none") == (401, "unauthorized")
