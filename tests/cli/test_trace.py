"""``fairlead trace``: the way of a message, on a terminal that it must not command."""

from __future__ import annotations

import pytest
from redis import Redis

from fairlead.format.envelope import Envelope
from fairlead.names import Names
from fairlead_gateway.cli.output import Status
from tests.cli.conftest import Fairlead
from tests.support.replica import Replica, token

HELLO = '{"type":"hello","content":"secret"}'


def test_a_message_is_followed_by_its_id(replica: Replica, fairlead: Fairlead) -> None:
    sent = fairlead("send", "user:42", HELLO, "--id", "a/b c", "--json")
    assert sent.json["id"] == "a/b c"

    told = fairlead("trace", "a/b c", "--channel", "user:42", "--url", replica.http)
    as_json = fairlead("trace", "a/b c", "--channel", "user:42", "--url", replica.http, "--json")

    assert told.status == as_json.status == Status.OK
    (line,) = [line for line in told.out.splitlines() if "redis" in line]
    assert "kept" in line and "user:42" in line and "type=hello" in line and "offset=1" in line
    assert "secret" not in told.out + as_json.out
    assert [step["station"] for step in as_json.json["steps"]] == ["kept"]
    assert "Each replica remembers" in told.err


def test_what_nobody_knows_ends_with_no(replica: Replica, fairlead: Fairlead) -> None:
    told = fairlead("trace", "never-sent", "--url", replica.http)

    assert (told.status, told.out) == (Status.NO, "")
    assert "Nothing is known" in told.err


def test_a_type_that_would_command_a_terminal_is_not_printed_as_it_is(
    replica: Replica, fairlead: Fairlead, redis_url: str, names: Names
) -> None:
    envelope = Envelope("evil", "t", b'{"type":"\\u001b]0;owned\\u0007","from":"x","timestamp":"\\u001b[2J"}')
    with Redis.from_url(redis_url) as redis:
        redis.xadd(names.log("user:42"), {"m": "evil", "d": envelope.seal()}, id="1-0")

    told = fairlead("trace", "evil", "--channel", "user:42", "--url", replica.http)

    assert told.status == Status.OK
    assert "\x1b" not in told.out and "\x07" not in told.out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("x" * 129,), Status.USAGE),
        (("\x1b[2J",), Status.USAGE),
        (("m", "--url", "ftp://127.0.0.1"), Status.USAGE),
        (("m", "--url", "http://127.0.0.1:1"), Status.UNAVAILABLE),
        (("m", "--channel", "nowhere"), Status.USAGE),
    ],
    ids=["long", "unprintable", "no-http", "nobody-there", "no-channel"],
)
def test_what_cannot_be_asked_says_so(
    configured: None, fairlead: Fairlead, arguments: tuple[str, ...], status: Status
) -> None:
    told = fairlead("trace", *arguments)

    assert (told.status, told.out) == (status, "")
    assert told.err.count("\n") == 1


def test_who_has_no_rank_is_refused(replica: Replica, fairlead: Fairlead) -> None:
    told = fairlead("trace", "m", "--url", replica.http, "--token", token("42"))

    assert told.status == Status.REFUSED
    assert "rank" in told.err
