"""The HTTP interface of a replica inside somebody else's application, before the clients of somebody else's server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from fairlead_gateway.rest.route import PREFIX
from tests.gateway.rest.callers import headers_of
from tests.gateway.running import Client, Gateway, settings_for
from tests.gateway.test_embedding import embedded


async def pinged(gateway: Gateway, user: str, seconds: float) -> dict[str, Any]:
    """What came of a ping to *user*: round trips by connection."""
    url = f"http://127.0.0.1:{gateway.port}{PREFIX}/ping/{user}"
    async with httpx2.AsyncClient(headers=headers_of(Rank.OPERATOR), timeout=15) as http:
        answer = await http.post(url, params={"timeout": seconds})
    assert answer.status_code == 200, answer.text
    return {one["connection_id"]: one["round_trip_ms"] for one in answer.json()["answers"]}


async def answers_pings(client: Client, times: int) -> None:
    """What a client of the protocol does when it is asked by a message."""
    for _ in range(times):
        await client.hear("ping")
        await client.say("pong")


async def test_where_a_server_cannot_ping_clients_are_asked_by_a_message(redis_url: str) -> None:
    async with embedded("wsproto", settings_for(redis_url)) as gateway:
        clients = [await gateway.connect("42"), await gateway.connect("42", subprotocols=[MSGPACK_SUBPROTOCOL])]
        deaf = await gateway.connect("42")
        answering = [asyncio.create_task(answers_pings(client, 1)) for client in clients]

        found = await pinged(gateway, "42", 1.0)
        await asyncio.gather(*answering)

        assert found.keys() == {deaf.id, *(client.id for client in clients)}
        assert found[deaf.id] is None
        assert all(0 < found[client.id] < 1000 for client in clients)


async def test_a_pong_that_is_a_message_is_no_answer_where_pongs_are_frames(redis_url: str) -> None:
    async with embedded("ours", settings_for(redis_url)) as gateway:
        client = await gateway.connect("42")
        client.socket.transport.pause_reading()
        asking = asyncio.create_task(pinged(gateway, "42", 0.5))
        for _ in range(10):
            await client.say("pong")
            await asyncio.sleep(0.02)

        assert await asking == {client.id: None}


async def test_a_socket_that_the_application_reads_itself_does_not_answer(redis_url: str) -> None:
    async with embedded("ours", settings_for(redis_url)) as gateway:
        guest = await gateway.open("/known/42")

        (answer,) = (await pinged(gateway, "42", 0.2)).values()

        assert answer is None
        await guest.leave()


async def test_what_is_wrong_is_a_problem_behind_another_server_too(redis_url: str) -> None:
    async with embedded("wsproto", settings_for(redis_url)) as gateway:
        url = f"http://127.0.0.1:{gateway.port}{PREFIX}"
        async with httpx2.AsyncClient(timeout=15) as http:
            nowhere = await http.get(f"{url}/nothing")
            nobody = await http.post(f"{url}/users/disconnect", content=b"x" * 3_000_000)
            large = await http.post(
                f"{url}/users/disconnect",
                content=b"x" * 3_000_000,
                headers={"content-type": "application/json", **headers_of(Rank.ADMIN)},
            )

    assert [answer.status_code for answer in (nowhere, nobody, large)] == [404, 401, 413]
    assert {answer.headers["content-type"] for answer in (nowhere, nobody, large)} == {"application/problem+json"}
