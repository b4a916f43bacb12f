"""The log of a replica from its start to its end: one event a line, with all that a search needs (ADM-7)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fairlead.backend.backend import connect
from fairlead.codes import ERRORS
from fairlead_gateway.dispatch.trail import STATIONS
from fairlead_gateway.logs import MAX_TEXT
from tests.support.client import client, connected
from tests.support.replica import Replica

BODY = "what-people-say-to-each-other"
EVIL = "\x1b]0;owned\x07\u202e"

Line = dict[str, object]


@pytest.fixture
def replica(redis_url: str, prefix: str) -> Iterator[Replica]:
    with Replica(redis_url, prefix, name="logs", log_level="debug", drain_seconds=0.2, drain_linger_seconds=0) as one:
        yield one


async def lived(replica: Replica, redis_url: str, prefix: str) -> list[Line]:
    """The lines of a replica that has seen a little of everything, and has ended."""
    async with connected(replica.url, "carl"):
        pass
    async with connected(replica.url, "ann") as ann, connected(replica.url, "bob") as bob:
        sent = await ann.ask("message", to="user:bob", content=BODY, message_id="m1")
        await bob.until("new_message")
        await bob.ask("ack", channel="user:bob", offset=sent["offset"], epoch=sent["epoch"])
        await ann.ask(EVIL)
        await ann.ask("join_session", session_id="s1")
        async with connect(redis_url, prefix=prefix, name="tests") as backend:
            await backend.send_to_session("s1", {"type": "hello", "content": BODY})
        await ann.until("hello")
        async with client(replica.url) as nobody:
            await nobody.say("connect", token=BODY)
            await nobody.closed()
        assert replica.stop() == 0
    return replica.events()


async def test_every_line_is_an_event_with_what_a_search_needs(replica: Replica, redis_url: str, prefix: str) -> None:
    lines = await lived(replica, redis_url, prefix)

    named = lines[[line["event"] for line in lines].index("listening") :]
    assert {str(line["replica"]).rpartition("-")[0] for line in named} == {"logs"}
    for line in lines:
        assert line["level"] in ("debug", "info", "warning", "error") and str(line["timestamp"]).endswith("Z"), line
        assert line["event"] and all(len(value) <= MAX_TEXT for value in line.values() if isinstance(value, str)), line
    assert not [line for line in lines if line["level"] in ("warning", "error")]


async def test_closes_refusals_and_errors_have_their_words(replica: Replica, redis_url: str, prefix: str) -> None:
    lines = await lived(replica, redis_url, prefix)

    def of(event: str) -> list[Line]:
        return [line for line in lines if line["event"] == event]

    assert {(line["code"], line["word"]) for line in of("connection closed")} == {(4200, "drain"), (1000, "normal")}
    assert all(
        line["connection_id"] and line["user_id"] for line in (*of("connection closed"), *of("connection opened"))
    )
    assert [(line["code"], line["word"]) for line in of("connection refused")] == [(4403, "forbidden")]
    assert all(line["address"] and line["reason"] for line in of("connection refused"))
    (refused,) = of("action refused")
    assert refused["code"] == "unknown_action" in ERRORS and refused["user_id"] == "ann"


async def test_a_message_is_followed_by_its_id_and_its_body_is_not_there(
    replica: Replica, redis_url: str, prefix: str
) -> None:
    lines = await lived(replica, redis_url, prefix)

    stations = [str(line["event"]) for line in lines if line.get("message_id") == "ann/m1"]
    assert {"message received", "message published", "message forwarded", "message relayed"} <= set(stations)
    assert {name.removeprefix("message ") for name in stations} <= set(STATIONS)
    assert all(line["connection_id"] for line in lines if line["event"] in ("message received", "message forwarded"))
    assert BODY not in replica.log
    assert not {"\x1b", "\x07", "\u202e"} & set(replica.log)
    assert [json.loads(line) for line in replica.log.splitlines()] == lines
