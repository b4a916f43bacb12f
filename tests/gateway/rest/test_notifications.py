"""``notify``: shown as the source documents have it, kept for who is away, its delivery known (NT-1)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.rest.calling import calling
from tests.gateway.running import Gateway, new_user
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

WISH = {"title": "Device", "message": "went offline", "type": "warning", "action_url": "/devices/d1"}


async def test_a_notification_is_shown_and_its_delivery_known(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    async with calling(gateway, "operator", "olga") as operator:
        made = await operator.post("/notify", {"user_id": user, **WISH})
        seen = await client.hear("notification")
        before = await operator.get(f"/notifications/{made['id']}")
        await client.ask("ack", message_ids=[seen["id"]])
        after = await operator.get(f"/notifications/{made['id']}")
        by_user = await operator.get(f"/notifications/{seen['notification']['id']}", user_id=user)

    assert made["channels"] == before["channels"] == {"websocket": "pending"}
    assert seen["notification"] == {
        "id": seen["id"],
        **WISH,
        "auto_close": False,
        "timestamp": seen["notification"]["timestamp"],
    }
    assert list(seen["notification"]) == [
        *("id", "title", "message", "type", "action_url", "auto_close", "timestamp"),
    ], "exactly the fields of the source document, in their order"
    assert (seen["from"], seen["requires_ack"], seen["offset"]) == ("service:olga", True, 1)
    (delivery,) = after["deliveries"]
    assert (after["user_id"], after["channels"], delivery["status"]) == (user, {"websocket": "delivered"}, "delivered")
    assert (delivery["connection_id"], before["deliveries"][0]["at"]) == (client.id, None)
    assert before["deliveries"][0]["expires_at"] > delivery["at"] >= seen["notification"]["timestamp"][:10]
    assert by_user == after


async def test_who_is_away_is_notified_on_return(gateway: Gateway) -> None:
    user = new_user()
    async with calling(gateway, "operator") as operator:
        await operator.post("/notify", {"user_id": user, **WISH})
        client = await gateway.open("/ws?wait=connect")
        first = await gateway.connect(user)
        position = first.greeting["channels"][f"user:{user}"]
        await client.say(
            "connect", token=token(user), recover={f"user:{user}": {"offset": 0, "epoch": position["epoch"]}}
        )
        assert (await client.hear("notification"))["notification"]["title"] == "Device"


async def test_sent_again_it_is_one_notification(gateway: Gateway) -> None:
    user = new_user()
    client = await gateway.connect(user)
    async with calling(gateway, "operator") as operator:
        made = [await operator.post("/notify", {"user_id": user, **WISH, "notification_id": "n1"}) for _ in range(2)]

    assert made[0] == made[1] == {"id": f"n1~{user}", "channels": {"websocket": "pending"}}
    await client.hear("notification")
    assert await client.heard() == []


@pytest.mark.parametrize("type", ["info", "success", "warning", "error", "urgent"])
@pytest.mark.parametrize("url", ["https://example.com/a?b=c#d", "http://[::1]:8080/", "/", "/devices/1?x=%20"])
async def test_every_type_and_every_place_to_lead_to(gateway: Gateway, type: str, url: str) -> None:
    async with calling(gateway, "operator") as operator:
        made = await operator.post(
            "/notify", {"user_id": new_user(), "title": "t", "message": "", "type": type, "action_url": url}
        )
    assert made["channels"] == {"websocket": "pending"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        *(
            ({"action_url": url}, "action_url")
            for url in (
                *(
                    "javascript:alert(1)",
                    "JAVASCRIPT:alert(1)",
                    "data:text/html,x",
                    "//evil.example",
                    "/\\evil.example",
                ),
                *("\\\\evil", "https:", "https://", "http:///x", "ftp://x/", "x", "", " /a", "/a\nb", "https://a b/"),
                *("/\t/evil.example", "https://[", "/" + "a" * 2048),
            )
        ),
        ({"type": "alarm"}, "type"),
        ({"title": ""}, "title"),
        ({"title": "x" * 257}, "title"),
        ({"message": None}, "message"),
        ({"user_id": "a b"}, "user_id"),
        ({"notification_id": "a~b"}, "notification_id"),
        ({"channels": ["email"]}, "there is websocket"),
        ({"channels": ["websocket", "sms"]}, "there is websocket"),
        ({"channels": []}, "channels"),
        ({"severity": 1}, "severity"),
    ],
)
async def test_what_cannot_be_notified_is_refused_in_words(gateway: Gateway, wrong: dict[str, Any], says: str) -> None:
    async with calling(gateway, "operator") as operator:
        status, problem = await operator.ask("POST", "/notify", {"user_id": "u", **WISH, **wrong})

    assert (status, says in problem["detail"]) == (422, True), problem


async def test_one_that_there_never_was_is_not_found(gateway: Gateway) -> None:
    async with calling(gateway, "operator") as operator:
        assert await operator.refused("GET", "/notifications/none~ann") == (404, "not_found")
        assert await operator.refused("GET", "/notifications/none", user_id="ann") == (404, "not_found")
        assert await operator.refused("GET", "/notifications/none") == (404, "not_found")
        assert await operator.refused("GET", "/notifications/none~ann", user_id="ben") == (404, "not_found")
