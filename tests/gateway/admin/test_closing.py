"""Only what an administrator may ask for is done, whoever has written the question into Redis."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from fairlead_gateway.admin.closing import CHOICES, NAMED, TOGETHER, Closing, close, closing_of
from fairlead_gateway.rest.steering import Disconnect
from tests.gateway.admin.crowd import lonely_replica, seat
from tests.gateway.pool.sockets import socket_of

GOOD = {"channel": "user:42", "code": 4003, "reason": "spams", "by": "oscar"}


def test_what_may_be_asked_over_http_is_what_may_be_done() -> None:
    assert set(get_args(Disconnect.model_fields["code"].annotation)) == CHOICES.keys()


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "broadcast"},
        {"channel": "session:s1"},
        {"channel": 42},
        {"code": 1000},
        {"code": 4403},
        {"code": "4003"},
        {"reason": None},
        {"by": ["oscar"]},
    ],
    ids=str,
)
async def test_anything_else_closes_nobody(change: dict[str, Any]) -> None:
    replica = lonely_replica()
    one = seat(replica, "42", "session:s1")

    assert closing_of(GOOD | change) is None
    assert await close(replica, GOOD | change) == {"closed": [], "count": 0}
    assert one.joined


def test_a_reason_fits_into_a_close_frame_and_a_drain_names_milliseconds() -> None:
    assert Closing("user:42", 4003, "x" * 256, "").frame_reason == "kicked: " + "x" * 115
    assert Closing("user:42", 4200, "update", "").frame_reason == "drain: 0"
    found = closing_of(GOOD | {"reason": "x" * 10_000, "by": "y" * 10_000})
    assert found is not None and len(found.reason) == len(found.by) == 256


async def test_a_crowd_of_one_user_is_closed_and_counted_and_not_all_of_it_named() -> None:
    replica = lonely_replica()
    crowd = [seat(replica, "42") for _ in range(NAMED + TOGETHER)]
    other = seat(replica, "43")

    found = await close(replica, GOOD)

    assert (len(found["closed"]), found["count"]) == (NAMED, NAMED + TOGETHER)
    assert all(socket_of(one).closes == [(4003, "kicked: spams")] for one in crowd)
    assert other.joined and len(replica.pool) == 1
    await replica.tasks.end()
