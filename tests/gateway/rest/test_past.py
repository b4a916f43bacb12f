"""``sessions/{id}/messages``: what a session has said, for admins."""

from __future__ import annotations

import pytest

from tests.gateway.rest.calling import calling
from tests.gateway.running import Gateway, new_session, serving, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_admins_read_a_session_page_by_page(gateway: Gateway) -> None:
    session = new_session()
    client = await gateway.connect(path=f"/ws/chat/session/{session}")
    for number in range(1, 6):
        await client.ask("message", content={"n": number})

    async with calling(gateway, "admin") as admin:
        newest = await admin.get(f"/sessions/{session}/messages?limit=2")
        older = await admin.get(f"/sessions/{session}/messages?limit=3&before={newest['before']}")

    assert [one["content"]["n"] for one in newest["messages"]] == [4, 5], "also what is not for its sender"
    assert (newest["offset"], newest["more"], newest["before"]) == (5, True, 4)
    assert [one["content"]["n"] for one in older["messages"]] == [1, 2, 3]
    assert (older["more"], older["before"], older["epoch"]) == (False, 1, newest["epoch"])
    assert older["messages"][0]["from"] == f"user:{client.greeting['user_id']}"


async def test_a_session_in_which_nothing_was_said_has_an_empty_page(gateway: Gateway) -> None:
    async with calling(gateway, "admin") as admin:
        page = await admin.get(f"/sessions/{new_session()}/messages")

    assert page == {"messages": [], "offset": 0, "epoch": "", "more": False, "before": 1}


async def test_viewers_do_not_read_what_people_say(gateway: Gateway) -> None:
    async with calling(gateway, "viewer") as viewer:
        status, problem = await viewer.refused("GET", f"/sessions/{new_session()}/messages")

    assert (status, problem) == (403, "forbidden")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1.5", "before=0", "before=-1", f"before={2**53}", "cursor=1"]
)
async def test_what_is_wrong_is_named(gateway: Gateway, query: str) -> None:
    async with calling(gateway, "admin") as admin:
        status, problem = await admin.ask("GET", f"/sessions/s1/messages?{query}")

    assert status == 422
    assert query.partition("=")[0] in str(problem)


async def test_where_sessions_keep_nothing_it_says_so(redis_url: str) -> None:
    async with (
        serving(settings_for(redis_url, durable=("user",))) as gateway,
        calling(gateway, "admin") as admin,
    ):
        status, problem = await admin.ask("GET", "/sessions/s1/messages")

    assert (status, problem["title"]) == (422, "invalid_message")
    assert "keeps no history" in problem["detail"]
