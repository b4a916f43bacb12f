"""``tokens``: what was revoked opens nothing any more, and ends what it has opened (T5)."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from fairlead_gateway.access.minting import Wish, mint
from fairlead_gateway.edge.guest import _vouched_for
from fairlead_gateway.rest.route import Row
from fairlead_gateway.rest.table import ROWS
from fairlead_gateway.sessions import revoking
from fairlead_gateway.sessions.opening import Place
from tests.gateway.patience import until
from tests.gateway.rest.calling import calling
from tests.gateway.running import Gateway, new_user
from tests.support.replica import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


def token_id(bearer: str) -> str:
    return str(jwt.decode(bearer, SECRET, ["HS256"])["jti"])


def issued_ago(user: str, seconds: float = 10) -> str:
    """A token of *user* that was issued some seconds ago."""
    return mint(SECRET, Wish(user), now=time.time() - seconds)


async def revoke(gateway: Gateway, **what: Any) -> dict[str, Any]:
    async with calling(gateway, "admin", "root") as admin:
        done: dict[str, Any] = await admin.post("/tokens/revoke", what)
    return done


async def test_a_revoked_token_ends_its_connections_and_no_others(gateway: Gateway) -> None:
    user = new_user()
    stolen, own = token(user), token(user)
    first, second = [await gateway.connect(bearer=stolen) for _ in range(2)]
    mine = await gateway.connect(bearer=own)

    done = await revoke(gateway, token_id=token_id(stolen))

    assert (done["closed"], done["silent"], done["user_id"], done["by"]) == (2, [], None, "root")
    for client in (first, second):
        assert await client.closed() == (4401, "token_expired: this token was revoked; log in again")
    assert (await mine.ask("ping"))["type"] == "pong"


async def test_logged_out_everywhere_a_user_comes_back_with_a_token_issued_since(gateway: Gateway) -> None:
    user = new_user()
    clients = [await gateway.connect(bearer=issued_ago(user, seconds)) for seconds in (1, 60)]

    done = await revoke(gateway, user_id=user)

    assert done["closed"] == 2
    assert [(await client.closed())[0] for client in clients] == [4401, 4401]
    assert (await gateway.refusal(bearer=issued_ago(user, 1)))[0] == 4401
    assert await _let_in(gateway, user), "tokens are issued in whole seconds, so that the next one counts"


async def _let_in(gateway: Gateway, user: str) -> bool:
    """Whether a token that was issued just now lets *user* in, at the latest in the next second."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        client = await gateway.open(bearer=token(user))
        try:
            return (await client.next())["type"] == "connection_established"
        except ConnectionClosed:
            await asyncio.sleep(0.1)
    return False


async def test_who_has_more_connections_than_are_closed_in_a_row_loses_all_of_them(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoking, "TOGETHER", 2)
    user = new_user()
    clients = [await gateway.connect(bearer=issued_ago(user)) for _ in range(5)]

    assert (await revoke(gateway, user_id=user))["closed"] == 5
    assert [(await client.closed())[0] for client in clients] == [4401] * 5


async def test_who_waits_for_an_answer_with_a_token_that_is_revoked_does_not_get_it(gateway: Gateway) -> None:
    user = new_user()
    bearer, own = issued_ago(user), token(user)
    async with calling(gateway, "operator") as operator:
        question = (await operator.post("/confirmations", {"responders": [user], "message": "?"}))["callback_id"]
    async with calling(gateway, bearer=bearer) as stolen, calling(gateway, bearer=own) as caller:
        waits = gateway.manager._parts._replies._waiting
        before = len(waits)
        waiting = asyncio.create_task(stolen.refused("GET", f"/confirmations/{question}", wait=20))
        await until(lambda: len(waits) > before)

        await revoke(gateway, token_id=token_id(bearer))
        await caller.post(f"/confirmations/{question}/answer", {"proceed": True})

        assert await asyncio.wait_for(waiting, 5) == (401, "unauthorized")


async def test_a_revoked_token_opens_nothing(gateway: Gateway) -> None:
    user = new_user()
    bearer = issued_ago(user)
    async with calling(gateway, bearer=bearer) as caller:
        ticket = (await caller.post("/tickets"))["ticket"]
        waiting = await gateway.open("/ws?wait=connect", bearer=bearer)
        staying = await gateway.connect(user, bearer=token(user))

        await revoke(gateway, token_id=token_id(bearer))

        assert (await gateway.refusal(bearer=bearer))[0] == 4401
        assert (await gateway.refusal(f"/ws?ticket={ticket}"))[0] == 4401
        await waiting.say("connect")
        assert (await waiting.closed())[0] == 4401
        late = await gateway.open()
        await late.say("connect", token=bearer)
        assert (await late.closed())[0] == 4401
        refused = await staying.ask("refresh", token=bearer)
        assert (refused["code"], "revoked" in refused["message"]) == ("unauthorized", True)
        assert (await staying.ask("subscribe", channels=["topic:t"]))["ok"], "who has another token stays"
        assert await caller.refused("POST", "/tickets") == (401, "unauthorized")


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.method} {row.path}" for row in ROWS])
async def test_a_revoked_token_opens_no_route(gateway: Gateway, row: Row) -> None:
    bearer = token(new_user(), role="admin")
    await gateway.manager._parts.replica.revoked.revoke(token_id=token_id(bearer), by="root")

    async with calling(gateway, bearer=bearer) as caller:
        path = re.sub(r"{\w+}", "nothing", row.path)
        assert await caller.refused(row.method, path) == (401, "unauthorized")


async def test_a_connection_lives_by_the_token_that_it_was_refreshed_with(gateway: Gateway) -> None:
    user = new_user()
    before, after = token(user), token(user)
    client = await gateway.connect(bearer=before)
    await client.ask("refresh", token=after)

    assert (await revoke(gateway, token_id=token_id(before)))["closed"] == 0
    assert (await client.ask("ping"))["type"] == "pong"
    assert (await revoke(gateway, token_id=token_id(after)))["closed"] == 1
    assert (await client.closed())[0] == 4401


async def test_whoever_the_application_vouches_for_may_come_again(gateway: Gateway) -> None:
    """Its token is none of ours: the application itself let it in, and does so again or not."""
    user = new_user()
    before = _vouched_for(user, Place(), {})
    await revoke(gateway, user_id=user)
    known = gateway.manager._parts.replica.revoked.known

    assert known.revokes(before)
    assert not known.revokes(_vouched_for(user, Place(), {}))


async def test_what_was_revoked_is_listed_and_audited(gateway: Gateway) -> None:
    users = [new_user() for _ in range(3)]
    until = datetime.fromtimestamp(int(time.time()) + 3600, UTC)
    done = [await revoke(gateway, user_id=user, expires_at=until.isoformat()) for user in users]

    async with calling(gateway, "admin", "root") as admin:
        items, cursor = [], ""
        while True:
            page = await admin.get("/tokens/revoked", limit=2, cursor=cursor)
            assert len(page["items"]) <= 2
            items += page["items"]
            if not (cursor := page["cursor"]):
                break

    found = [item for item in items if item["user_id"] in users]
    assert [item["id"] for item in found] == [one["id"] for one in done]
    assert {item["expires_at"] for item in found} == {until.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    assert [item["id"] for item in items] == sorted({item["id"] for item in items})
    names = gateway.manager._parts.replica.names
    async with asyncio.timeout(5):
        while True:
            (entries,) = await gateway.manager._parts.asks._shards.ask(("XRANGE", names.audit, "-", "+"))
            audited = {fields.get(b"user_id"): fields for _, fields in entries}
            if users[-1].encode() in audited:
                break
            await asyncio.sleep(0.02)
    assert audited[users[0].encode()][b"by"] == b"root"
    assert audited[users[0].encode()][b"event"] == b"tokens_revoked"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "either token_id or user_id"),
        ({"user_id": "ada", "token_id": "x"}, "either token_id or user_id"),
        ({"token_id": "x", "before": "2026-01-01T00:00:00Z"}, "before goes with user_id"),
        ({"user_id": "a b"}, "user_id"),
        ({"token_id": ""}, "token_id"),
        ({"user_id": "ada", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"user_id": "ada", "expires_at": "2126-01-01T00:00:00"}, "expires_at"),
        ({"user_id": "ada", "before": "yesterday"}, "before"),
        ({"user": "ada"}, "user"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(gateway: Gateway, wrong: dict[str, Any], says: str) -> None:
    async with calling(gateway, "admin", "root") as admin:
        status, problem = await admin.ask("POST", "/tokens/revoke", wrong)

    assert (status, problem["title"]) == (422, "invalid_message")
    assert says in problem["detail"]


async def test_only_admins_revoke_and_see_what_was_revoked(gateway: Gateway) -> None:
    for role in ("", "viewer", "operator"):
        async with calling(gateway, role) as caller:
            assert (await caller.refused("POST", "/tokens/revoke", {"user_id": "x"}))[0] == 403
            assert (await caller.refused("GET", "/tokens/revoked"))[0] == 403
