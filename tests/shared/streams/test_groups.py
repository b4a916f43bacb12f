"""What one consumer asks Redis next, without Redis."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from fairlead.names import Names
from fairlead.redis.connection import Command
from fairlead.redis.greeting import Greeting
from fairlead.streams.groups import Entry, Pace, Share

NAMES = Names("groups")
GREETING = Greeting(NAMES)
PACE = Pace(look_seconds=5, idle_ms=10_000, least=1, most=8)


def share(*, from_start: bool = False) -> Share:
    return Share("stream", "crm", "me", from_start=from_start, pace=PACE)


def asked(one: Share, now: float) -> str:
    """The question in a word."""
    return word(one.question(GREETING, now))


def word(command: Command) -> str:
    match command:
        case ("EVAL", _, 1, "stream", "crm", "me", kind, at, size):
            return f"{kind} {at} {size}"
        case ("EVAL", _, 1, "stream", "crm", _):
            return "forget"
        case ("XGROUP", "CREATE", "stream", "crm", at, "MKSTREAM"):
            return f"form at {at}"
        case ("XREADGROUP", "GROUP", "crm", "me", "COUNT", size, "BLOCK", 2000, "STREAMS", "stream", ">"):
            return f"new {size}"
    raise AssertionError(command)


def settled(now: float) -> Share:
    """A share that has nothing left to do but to ask for what is new."""
    one = share()
    for reply in ([], [], 0):
        one.question(GREETING, now)
        one.hear(reply, now)
    return one


def given(*ids: str) -> list[object]:
    return [[b"stream", [[id_.encode(), [b"n", b"1"]] for id_ in ids]]]


def worked_off(one: Share, now: float) -> list[str]:
    """The entries that wait, each finished at once."""
    found = []
    while (entry := one.next(now)) is not None:
        one.drop()
        one.done(entry.id)
        found.append(entry.id)
    return found


def test_what_was_left_undone_comes_first_then_what_others_left_then_what_is_new() -> None:
    one = share()

    assert asked(one, 0) == "own - 1"
    one.hear([[b"1-0", 2, [b"n", b"1"]]], 0)
    assert one.next(0) == Entry("1-0", {b"n": b"1"}, 2)
    assert worked_off(one, 0) == ["1-0"]
    assert asked(one, 0.1) == "own (1-0 2", "that was quick: it may be twice as much"
    one.hear([], 0.1)
    assert asked(one, 0.1).startswith("idle 10000")
    one.hear([[b"2-0", 1]], 0.1)
    assert one.next(0.1) == Entry("2-0", None, 1), "it was deleted meanwhile"
    worked_off(one, 0.1)
    assert asked(one, 0.1).startswith("idle 10000")
    one.hear([], 0.1)
    assert asked(one, 0.1) == "forget"
    one.hear(0, 0.1)
    assert asked(one, 0.1).startswith("new")


@pytest.mark.parametrize(("from_start", "at"), [(False, "$"), (True, "0")])
def test_a_group_that_is_not_there_is_formed(from_start: bool, at: str) -> None:
    one = share(from_start=from_start)

    asked(one, 0)
    one.hear(ResponseError("NOGROUP No such key"), 0)
    assert asked(one, 0) == f"form at {at}"
    one.hear(ResponseError("BUSYGROUP another was earlier"), 0)
    assert asked(one, 0).startswith("own")


def test_a_group_that_redis_forgot_begins_at_the_start_of_what_there_is() -> None:
    one = settled(0)

    asked(one, 1)
    one.hear(ResponseError("NOGROUP No such key"), 1)

    assert asked(one, 1) == "form at 0"


def test_a_stream_deleted_while_it_is_waited_for_is_looked_for_again() -> None:
    one = settled(0)

    asked(one, 1)
    one.hear(ResponseError("UNBLOCKED the stream key no longer exists"), 1)

    assert asked(one, 1).startswith("own -")


def test_what_redis_refuses_for_another_reason_is_raised() -> None:
    one = share()
    asked(one, 0)

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        one.hear(ResponseError("WRONGTYPE not a stream"), 0)


def test_resp_3_and_nothing_are_understood() -> None:
    one = settled(0)
    asked(one, 0)
    one.hear({b"stream": [[b"1-0", [b"n", b"1"]]]}, 0)
    assert worked_off(one, 0) == ["1-0"]
    asked(one, 0)
    one.hear(None, 2)
    assert one.next(2) is None


def test_who_is_quick_is_given_more_and_who_is_slow_one_at_a_time() -> None:
    one = settled(0)
    sizes = []
    for _ in range(5):
        sizes.append(asked(one, 0.5))
        one.hear(given("1-0"), 0.5)
        worked_off(one, 0.5)
    slow = asked(one, 2)
    one.hear(None, 2)
    idle = asked(one, 2)

    assert sizes == ["new 1", "new 2", "new 4", "new 8", "new 8"]
    assert (slow, idle) == ("new 1", "new 1")


def test_what_is_done_is_acknowledged_with_the_next_question_and_again_if_that_is_lost() -> None:
    one = settled(0)
    asked(one, 0)
    one.hear(given("1-0", "2-0"), 0)
    worked_off(one, 0)

    assert one.acknowledgements() == [("XACK", "stream", "crm", "1-0", "2-0")]
    assert one.acknowledgements() == []
    one.lost()
    assert one.acknowledgements() == [("XACK", "stream", "crm", "1-0", "2-0")]
    asked(one, 0)
    one.hear([], 0)
    one.lost()
    assert one.acknowledgements() == []


def test_what_waited_too_long_here_may_be_somebody_elses_and_is_asked_for_again() -> None:
    one = settled(0)
    asked(one, 0)
    one.hear(given("1-0", "2-0"), 0)
    assert one.next(4.9) is not None
    one.drop()

    assert one.next(5.1) is None
    assert asked(one, 5.1) == "own - 1"


def test_others_are_looked_after_now_and_then() -> None:
    one = settled(0)
    asked(one, 3)
    one.hear(None, 3)
    assert asked(one, 3).startswith("new")
    one.hear(None, 5.1)
    assert asked(one, 5.1).startswith("idle")
