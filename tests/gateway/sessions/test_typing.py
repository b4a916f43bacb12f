"""Typing is shown while it lasts: who falls silent, leaves or is cut off has stopped (ST-5)."""

from __future__ import annotations

import asyncio

import pytest

from fairlead_gateway.pool import typists
from tests.gateway.running import Client, Gateway, new_session, new_user

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def two_in(gateway: Gateway, *sessions: str) -> tuple[Client, Client]:
    """Somebody who types, and somebody who watches."""
    typist, watcher = await gateway.connect(new_user()), await gateway.connect()
    for client in (watcher, typist):
        for session in sessions:
            await client.ask("join_session", session_id=session)
    return typist, watcher


async def states(watcher: Client) -> list[bool]:
    """What the watcher has been shown since it was asked last."""
    return [frame["is_typing"] for frame in await watcher.heard() if frame["type"] == "typing"]


async def test_saying_it_again_does_not_tell_the_others_again(gateway: Gateway) -> None:
    typist, watcher = await two_in(gateway, new_session())

    replies = [await typist.ask("typing", is_typing=True) for _ in range(20)]
    await watcher.hear("typing")
    again = await states(watcher)
    for _ in range(3):
        await typist.ask("typing", is_typing=False)
    stopped = await watcher.hear("typing")
    changes = gateway.told("typing_status_changed", user_id=typist.greeting["user_id"])

    assert all(reply["ok"] for reply in replies)
    assert again == []
    assert stopped["is_typing"] is False
    assert await states(watcher) == []
    assert [change["is_typing"] for change in changes] == [True, False]


async def test_who_goes_on_is_shown_again_so_that_newcomers_see_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typists, "RENEW_SECONDS", 0.1)
    session = new_session()
    typist, watcher = await two_in(gateway, session)
    await typist.ask("typing", is_typing=True)
    await watcher.hear("typing")

    await asyncio.sleep(0.15)
    await typist.ask("typing", is_typing=True)

    assert (await watcher.hear("typing"))["is_typing"] is True


async def test_who_falls_silent_has_stopped(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typists, "SILENT_SECONDS", 1)
    session = new_session()
    typist, watcher = await two_in(gateway, session)

    await typist.ask("typing", is_typing=True)
    shown, stopped = [await watcher.hear("typing") for _ in range(2)]

    assert (shown["is_typing"], stopped["is_typing"]) == (True, False)
    assert (stopped["user_id"], stopped["session_id"]) == (typist.greeting["user_id"], session)
    assert "offset" not in stopped


@pytest.mark.parametrize("how", ["leaves", "hangs up", "is cut off", "unsubscribes"])
async def test_who_is_gone_has_stopped(gateway: Gateway, how: str) -> None:
    sessions = [new_session(), new_session()]
    typist, watcher = await two_in(gateway, *sessions)
    for session in sessions:
        await typist.ask("typing", session_id=session, is_typing=True)
        await watcher.hear("typing")

    match how:
        case "leaves":
            await typist.ask("leave_session", session_id=sessions[0])
        case "unsubscribes":
            await typist.ask("unsubscribe", channels=[f"session:{sessions[0]}"])
        case "hangs up":
            await typist.leave()
        case _:
            typist.socket.transport.abort()
    expected = sessions if how in ("hangs up", "is cut off") else sessions[:1]

    stopped = [await watcher.hear("typing") for _ in expected]
    assert sorted(frame["session_id"] for frame in stopped) == sorted(expected)
    assert [frame["is_typing"] for frame in stopped] == [False] * len(expected)
    assert await states(watcher) == []
