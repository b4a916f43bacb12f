"""The channel of a role: heard by everybody whose token has it, for as long as it has it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.gateway.running import Gateway, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


def new_role() -> str:
    return f"role-{uuid4().hex}"


async def test_everybody_with_the_role_hears_it_and_is_told_where_it_stands(gateway: Gateway) -> None:
    role = new_role()
    before = await gateway.manager.send(f"role:{role}", {"type": "unheard"})
    one, other = [await gateway.connect(bearer=token(new_user(), role=role)) for _ in range(2)]
    stranger = await gateway.connect(bearer=token(new_user(), role="none"))

    sent = await gateway.manager.send(f"role:{role}", {"type": "wanted"})

    assert one.greeting["channels"][f"role:{role}"] == {"offset": before.offset, "epoch": before.epoch}
    for client in (one, other):
        message = await client.hear("wanted")
        assert (message["id"], message["channel"]) == (sent.id, f"role:{role}")
    assert await stranger.heard() == []


async def test_who_comes_back_is_given_what_its_role_was_told(gateway: Gateway) -> None:
    role, user = new_role(), new_user()
    sent = await gateway.manager.send(f"role:{role}", {"type": "missed"})
    client = await gateway.open("/ws?wait=connect", bearer=token(user, role=role))

    position = {"offset": 0, "epoch": sent.epoch}
    await client.say("connect", recover={f"role:{role}": position, "role:other": position})

    channels = (await client.hear("connection_established"))["channels"]
    assert channels[f"role:{role}"] == {"offset": 1, "epoch": sent.epoch, "recovered": True}
    assert channels["role:other"] == {"recovered": False, "code": "forbidden"}
    assert (await client.hear("missed"))["id"] == sent.id


@pytest.mark.parametrize("action", ["subscribe", "unsubscribe"])
async def test_nobody_can_ask_for_the_channel_of_a_role(gateway: Gateway, action: str) -> None:
    client = await gateway.connect(bearer=token(new_user(), role="ops"))

    error = await client.ask(action, channels=["role:lead" if action == "subscribe" else "role:ops"])

    assert error["code"] == ("forbidden" if action == "subscribe" else "invalid_message")


async def test_a_new_token_moves_its_connection_to_the_new_role(gateway: Gateway) -> None:
    old, new, user = new_role(), new_role(), new_user()
    client = await gateway.connect(bearer=token(user, role=old))

    reply = await client.ask("refresh", token=token(user, role=new))
    unheard = await gateway.manager.send(f"role:{old}", {"type": "unheard"})
    sent = await gateway.manager.send(f"role:{new}", {"type": "heard"})

    assert reply["ok"] is True
    assert (await client.hear("heard"))["id"] == sent.id
    assert await client.heard() == []
    assert (sent.receivers, unheard.offset) == (1, 1)


@pytest.mark.parametrize("role", ["", "head of sales", "ü" * 40])
async def test_a_role_that_is_no_id_has_no_channel(gateway: Gateway, role: str) -> None:
    client = await gateway.connect(bearer=token(new_user(), role=role))

    assert [name for name in client.greeting["channels"] if name.startswith("role:")] == []
