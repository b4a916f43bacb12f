"""The audit trail, as it is written and read."""

from __future__ import annotations

from redis.asyncio import Redis

from fairlead.names import Names
from fairlead.questions import audit
from fairlead.questions.audit import Record
from fairlead.streams.entries import LATEST, backwards, entries


async def test_what_is_written_is_read_the_latest_first(redis: Redis, names: Names) -> None:
    for event in ("requested", "answered"):
        await redis.execute_command(*audit.written(names, event, {"by": "42", "to": "user:42", "step": ""}))

    found = entries(await redis.execute_command(*backwards(names.audit, LATEST, 10)))
    older = entries(await redis.execute_command(*backwards(names.audit, found[0].id, 10)))

    facts = {"to": "user:42"}
    assert [audit.record(entry.fields) for entry in found] == [
        Record("answered", "42", facts),
        Record("requested", "42", facts),
    ]
    assert older == found[1:]


def test_what_somebody_else_wrote_is_no_record() -> None:
    assert audit.record({}) is None
    assert audit.record({b"by": b"42"}) is None
    assert audit.record({b"event": b"\xff", b"\xff": b"1"}) == Record("\ufffd", "", {"\ufffd": "1"})
