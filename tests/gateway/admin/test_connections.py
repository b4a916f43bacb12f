"""What a replica tells of its connections: no more than was asked for, in slices, and never too much at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.format.codec import to_json
from fairlead_gateway.admin.connections import MAX_PAGE, SLICE, connection, connections
from tests.gateway.admin.crowd import get_up, lonely_replica, seat
from tests.gateway.pool.sockets import socket_of

LONG = "x" * 128


async def told(replica: Any, **about: Any) -> tuple[list[str], bool]:
    """Users of the connections that *replica* tells of, and whether these are all."""
    found = await connections(replica, about)
    return [one["user_id"] for one in found["connections"]], found["is_all"]


async def test_the_latest_come_first_and_no_more_than_were_asked_for() -> None:
    replica = lonely_replica()
    seated = sorted((seat(replica, str(n)) for n in range(7)), key=lambda one: one.id, reverse=True)
    users = [one.user_id for one in seated]

    assert await told(replica) == (users, True)
    assert await told(replica, limit=3) == (users[:3], False)
    assert await told(replica, limit=3, before=seated[2].id) == (users[3:6], False)
    assert await told(replica, limit=3, before=seated[5].id) == (users[6:], True)


async def test_only_those_are_told_of_that_are_looked_for() -> None:
    replica = lonely_replica()
    seat(replica, "ann", "session:s1", "instance:i", username="Ann Lee")
    seat(replica, "ann", "session:s2")
    seat(replica, "ben", "session:s1", username=42)

    assert await told(replica, channels=["user:ann"]) == (["ann", "ann"], True)
    assert await told(replica, channels=["user:ann", "session:s1"]) == (["ann"], True)
    assert await told(replica, channels=["session:s1"], words="BEN") == (["ben"], True)
    assert await told(replica, words="ann l") == (["ann"], True)
    assert sorted((await told(replica, words="192.0.2."))[0]) == ["ann", "ann", "ben"]
    assert await told(replica, words=".*") == ([], True)
    assert await told(replica, channels=["instance:nobody"]) == ([], True)


async def test_who_has_not_been_greeted_or_has_left_is_not_told_of() -> None:
    replica = lonely_replica()
    coming, gone = seat(replica, "coming"), seat(replica, "gone")
    coming.is_live = False
    gone.joined = False

    assert await told(replica) == ([], True)
    for one in (coming, gone):
        assert await connection(replica, {"id": one.id}) == {"connections": []}


async def test_a_question_that_makes_no_sense_is_answered_all_the_same() -> None:
    replica = lonely_replica()
    seat(replica, "ann")

    for about in ({"limit": -1}, {"limit": "all"}, {"channels": 5}, {"before": None, "words": None}, {"channels": [1]}):
        assert isinstance((await connections(replica, about))["is_all"], bool)
    assert await connection(replica, {}) == {"connections": []}


async def test_a_whole_page_stays_below_a_megabyte_whatever_tokens_say() -> None:
    replica = lonely_replica()
    for n in range(MAX_PAGE + 1):
        one = seat(replica, f"{n:0128}", f"session:{LONG}", f"instance:{LONG}", username="\0" * 60, blob="y" * 30_000)
        one.session_id = one.instance = LONG
        socket_of(one).remote = "\0" * 5000

    found = await connections(replica, {"limit": 10_000})

    assert len(found["connections"]) == MAX_PAGE
    assert len(to_json(found)) < 950_000
    shown = found["connections"][0]["metadata"]
    assert shown.keys() == {"role", "username"}
    (whole,) = (await connection(replica, {"id": found["connections"][0]["connection_id"]}))["connections"]
    assert whole["metadata"].keys() == {"role", "username", "blob"}


async def test_what_an_application_put_into_metadata_and_is_no_json_is_left_out() -> None:
    replica = lonely_replica()
    one = seat(replica, "ann", username="Ann", strange=object())

    (whole,) = (await connection(replica, {"id": one.id}))["connections"]

    assert whole["metadata"] == {"role": "", "username": "Ann"}
    assert to_json(whole)


async def test_others_have_their_turn_while_thousands_are_looked_at_and_who_leaves_meanwhile_is_left_out() -> None:
    replica = lonely_replica()
    seated = [seat(replica, f"u{n}") for n in range(12 * SLICE)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            if turns == 3:
                get_up(replica, seated[0])
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    none, _ = await told(replica, words="nobody has this")
    found, is_all = await told(replica, words="u0")
    task.cancel()

    assert (none, found, is_all) == ([], [], True)
    assert turns >= 20


async def test_however_many_ask_at_once_one_of_them_is_looked_after_in_a_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica = lonely_replica()
    seat(replica, "ann")
    begun = 0
    most = 0
    ids = replica.pool.ids

    def counted() -> list[str]:
        nonlocal begun
        begun += 1
        return ids()

    async def others() -> None:
        nonlocal begun, most
        while True:
            most, begun = max(most, begun), 0
            await asyncio.sleep(0)

    monkeypatch.setattr(replica.pool, "ids", counted)
    task = asyncio.create_task(others())
    answers = await asyncio.gather(*(told(replica) for _ in range(50)))
    task.cancel()

    assert answers == [(["ann"], True)] * 50
    assert most == 1


async def test_the_detail_says_how_far_behind_it_is_and_how_it_speaks() -> None:
    replica = lonely_replica()
    one = seat(replica, "ann", "session:b", "session:a")
    socket_of(one).outbox_bytes = 77

    (whole,) = (await connection(replica, {"id": one.id}))["connections"]

    assert (whole["channels"], whole["outbox_bytes"], whole["format"]) == (["session:a", "session:b"], 77, "json")
    assert (whole["quality"], whole["is_compressed"], whole["device_id"]) == ("unknown", False, None)
