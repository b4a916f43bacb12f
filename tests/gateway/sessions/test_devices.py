"""A device that the server knows is given what its user was sent since it last acknowledged."""

from __future__ import annotations

import pytest

from tests.gateway.running import Client, Gateway, Message, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def come(gateway: Gateway, user: str, device: str, recover: Message | None = None) -> tuple[Client, Message]:
    """The device connects; itself, and what it is told of its user's channel."""
    client = await gateway.open("/ws?wait=connect", bearer=token(user))
    await client.say("connect", device_id=device, recover=recover or {})
    greeting = await client.next()
    return client, greeting["channels"][f"user:{user}"]


async def sent(gateway: Gateway, user: str, *contents: str) -> None:
    for content in contents:
        await gateway.manager.send_to_user(user, {"type": "note", "content": content})


async def contents(client: Client) -> list[str]:
    return [message["content"] for message in await client.heard() if message["type"] == "note"]


async def test_what_was_sent_while_it_was_away_is_given_to_it_on_return(gateway: Gateway) -> None:
    user = new_user()
    phone, _ = await come(gateway, user, "phone")
    await phone.leave()
    await sent(gateway, user, "a", "b")

    phone, told = await come(gateway, user, "phone")

    assert told["recovered"] is True
    assert await contents(phone) == ["a", "b"]


async def test_what_it_has_acknowledged_does_not_come_again(gateway: Gateway) -> None:
    user = new_user()
    phone, _ = await come(gateway, user, "phone")
    await sent(gateway, user, "a", "b")
    await phone.ask("ack", channel=f"user:{user}", offset=1)
    await phone.leave()
    await sent(gateway, user, "c")

    phone, _ = await come(gateway, user, "phone")

    assert await contents(phone) == ["b", "c"]


async def test_each_device_stands_where_it_stands(gateway: Gateway) -> None:
    user = new_user()
    phone, _ = await come(gateway, user, "phone")
    await sent(gateway, user, "a")
    tablet, told = await come(gateway, user, "tablet")
    await sent(gateway, user, "b")
    await phone.leave()
    await tablet.leave()

    phone, _ = await come(gateway, user, "phone")
    tablet, _ = await come(gateway, user, "tablet")

    assert "recovered" not in told
    assert (await contents(phone), await contents(tablet)) == (["a", "b"], ["b"])


async def test_where_it_says_itself_that_it_stands_counts(gateway: Gateway) -> None:
    user = new_user()
    phone, told = await come(gateway, user, "phone")
    await sent(gateway, user, "a", "b", "c")
    await phone.leave()
    at_two = {f"user:{user}": {"offset": 2, "epoch": told["epoch"]}}

    phone, _ = await come(gateway, user, "phone", at_two)
    first = await contents(phone)
    await phone.leave()
    phone, _ = await come(gateway, user, "phone")

    assert (first, await contents(phone)) == (["c"], ["c"])


async def test_a_device_whose_history_is_gone_is_told_once(gateway: Gateway) -> None:
    user = new_user()
    phone, _ = await come(gateway, user, "phone")
    await phone.leave()
    await sent(gateway, user, "a", "b")
    names = gateway.manager._parts.replica.names
    await gateway.manager._parts._shards.ask(("DEL", *names.of_durable(f"user:{user}")[:3]))
    gateway.manager._parts.replica.tracks.drop(f"user:{user}")

    phone, lost = await come(gateway, user, "phone")
    await phone.leave()
    phone, found = await come(gateway, user, "phone")

    assert (lost["recovered"], found["recovered"]) == (False, True)
