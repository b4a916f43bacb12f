"""Tokens end, and may be renewed on the way; who does not is closed, who changes into somebody else as well."""

from __future__ import annotations

import time

import pytest

from fairlead_gateway.access.minting import Wish, mint
from tests.gateway.patience import until
from tests.gateway.running import Gateway, new_session, new_user
from tests.support.replica import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_connection_whose_token_ends_is_closed_with_4401(gateway: Gateway) -> None:
    client = await gateway.connect(bearer=token(new_user(), ttl_seconds=1))
    lasting = await gateway.connect()

    code, reason = await client.closed(4)

    assert code == 4401
    assert reason.startswith("token_expired: ")
    assert (await lasting.ask("ping"))["type"] == "pong"


async def test_refreshed_in_time_it_stays_and_ends_with_the_new_token(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user, bearer=token(user, ttl_seconds=1))

    reply = await client.ask("refresh", token=token(user, ttl_seconds=2))
    refreshed_at = time.time()
    code, _ = await client.closed(6)

    assert reply["ok"] is True
    assert reply["removed"] == []
    assert 0 < reply["expires_at"] - refreshed_at <= 2
    assert code == 4401
    assert time.time() >= reply["expires_at"]


async def test_refreshed_it_may_what_the_new_claims_allow_and_leaves_what_they_do_not(gateway: Gateway) -> None:
    user, session = new_user(), new_session()
    client = await gateway.connect(bearer=token(user, sessions=[session], topics=["old"]))
    await client.ask("join_session", session_id=session)
    await client.ask("subscribe", channels=["topic:old"])

    reply = await client.ask("refresh", token=token(user, topics=["new"]))
    await client.heard()
    await gateway.manager.send_to_topic("old", {"type": "unheard"})
    await gateway.manager.send_to_session(session, {"type": "unheard"})

    assert sorted(reply["removed"]) == [f"session:{session}", "topic:old"]
    assert (await client.ask("subscribe", channels=["topic:new"]))["ok"] is True
    assert (await client.ask("subscribe", channels=["topic:old"]))["code"] == "forbidden"
    assert (await client.ask("message", content="x"))["code"] == "invalid_message"
    assert await client.heard() == []


async def test_the_token_of_another_user_ends_the_connection_with_4403(gateway: Gateway) -> None:
    client = await gateway.connect()

    await client.say("refresh", token=token(new_user()))

    assert await client.closed() == (4403, "forbidden: refresh with the token of another user")


@pytest.mark.parametrize("bad", ["", "nonsense", "a.b.c"])
async def test_a_token_that_is_none_is_an_error_and_the_old_one_counts(gateway: Gateway, bad: str) -> None:
    client = await gateway.connect()

    error = await client.ask("refresh", token=bad)

    assert error["code"] == "unauthorized"
    assert (await client.ask("subscribe", channels=["topic:t"]))["ok"] is True


async def test_an_expired_token_does_not_refresh(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)

    error = await client.ask("refresh", token=mint(SECRET, Wish(user, ttl_seconds=60), now=time.time() - 3600))

    assert error["code"] == "unauthorized"
    assert (await client.ask("ping"))["type"] == "pong"


async def test_who_is_closed_for_an_ended_token_is_gone_at_once(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(bearer=token(user, ttl_seconds=1))

    await client.closed(4)

    await until(lambda: gateway.told("user_disconnected", user_id=user), 1)
    assert gateway.manager.pool.get(client.id) is None
