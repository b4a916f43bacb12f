"""Questions to a replica come through Redis: whatever they say, they are answered, and nothing fails of it."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_gateway.admin.answers import ANSWERS, trace
from fairlead_gateway.admin.traces import MOST_PLACES
from fairlead_gateway.dispatch.outgoing import Outgoing
from tests.gateway.admin.crowd import lonely_replica

STRANGE = (None, 0, -1, True, 1e300, "", "x" * 10_000, "\0", [], [1], [[]], [[1, 2]], [["a", "b", "c"]], {}, {"a": {}})
FIELDS = (
    *("id", "places", "channels", "words", "before", "limit"),
    *("channel", "code", "reason", "by", "user_id", "seconds"),
)


@pytest.mark.parametrize("strange", STRANGE, ids=lambda strange: repr(strange)[:20])
@pytest.mark.parametrize("what", sorted(ANSWERS.keys() - {"revoked"}))
async def test_a_question_that_makes_no_sense_fails_nobody(what: str, strange: Any) -> None:
    found = await ANSWERS[what](lonely_replica(), dict.fromkeys(FIELDS, strange))

    assert isinstance(found, dict)


async def test_a_message_is_looked_for_in_the_places_that_make_sense() -> None:
    replica = lonely_replica()
    replica.trail.relayed("user:42", [Outgoing(b"{}", "", 3, "e", "other")], 1)
    replica.trail.stretch("replayed", "user:42", 1, 9, "e", "42", "c", "")
    senseless = [1, ["user:42"], ["user:42", "3", "e"], [None, 3, "e"]]

    assert (await trace(replica, {"id": "m", "places": senseless}))["steps"] == []
    (step,) = (await trace(replica, {"id": "m", "places": [*senseless, ["user:42", 3, "e"]][-MOST_PLACES:]}))["steps"]
    assert step["station"] == "replayed"
