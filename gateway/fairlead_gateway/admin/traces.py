"""Traces: where one message has passed, as all replicas and Redis remember it (RT-8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from fairlead.errors import FairleadError
from fairlead.publishing import acks
from fairlead.redis.query import pairs
from fairlead.streams import ingress
from fairlead_gateway.admin.surveys import Found, Surveys
from fairlead_gateway.dispatch.trail import STATIONS, Step, places_of
from fairlead_gateway.sessions.replica import Replica

REDIS: Final = "redis"
"""What stands in the place of a replica where Redis tells a step."""

IN_REDIS: Final[Mapping[str, tuple[str, ...]]] = {
    "waiting": ("bytes",),
    "kept": ("offset", "type", "from"),
    "awaited": ("left_seconds",),
    "acknowledged": ("user_id", "connection_id", "device_id", "result"),
    "expired": (),
}
"""What Redis knows of a message: that it waits in the ingress; is in a channel's log; what its sender waits for."""

MOST_PLACES: Final = 8
"""Channels that one message is looked for in."""

MOST_WAITING: Final = 100
"""Entries of the ingress that are looked through, each of which may have a megabyte."""

UNKNOWN: Final = (
    "Nothing is known of this id: the message never passed here, or so many others have since, or the replica that it "
    "passed has ended. Name the channel, and its history is looked through as well."
)
LIMITS: Final = (
    "Each replica remembers its latest stations until it ends. What a backend publishes itself is seen from the relay "
    "on; what is written to a socket nobody proves but by an acknowledgement. Times are those of each replica's clock."
)


_NEVER: Final = 1e11
"""Unix seconds that no clock of ours will show."""


class Trace(NamedTuple):
    """The steps of one message, the earliest first; those without a time last."""

    steps: list[Step]
    silent: list[str]
    """Replicas that did not answer in time."""
    note: str
    """What this does not tell."""


async def trace(surveys: Surveys, replica: Replica, id: str, channel: str = "") -> Trace:
    """
    Where the message *id* has passed.

    :param channel: where it was said, if that is known: then its history is looked through even if no replica knows.
    :raises Unavailable: Redis cannot be reached.
    """
    survey = await surveys.ask("trace", {"id": id})
    steps = _told(survey.found)
    channels = {channel: None for channel in (channel, *(step["channel"] for step in steps)) if channel}
    stored = await _in_redis(replica, id, [*channels][:MOST_PLACES])
    silent = {*survey.silent}
    if places := sorted({*places_of(steps), *places_of(stored)})[:MOST_PLACES]:
        # What was done with whole stretches of a channel is found once it is known where the message stands.
        again = await surveys.ask("trace", {"id": id, "places": places})
        steps, silent = _told(again.found), {*again.silent}
    steps += stored
    steps.sort(key=lambda step: step["at"] or float("inf"))
    note = " ".join([*([] if steps else [UNKNOWN]), LIMITS])
    return Trace(steps, sorted(silent), note)


def _told(found: Mapping[str, Found]) -> list[Step]:
    """What replicas say; what makes no sense is left out."""
    steps: list[Step] = []
    for replica, answer in found.items():
        some = answer.get("steps")
        for step in some if isinstance(some, list) else ():
            match step:
                case {"at": float() | int() as at, "station": str(station), "channel": str()} if station in STATIONS:
                    steps.append({**step, "at": at if is_moment(at) else None, "replica": replica})
    return steps


async def _in_redis(replica: Replica, id: str, channels: Iterable[str]) -> list[Step]:
    found = await asyncio.gather(_waiting(replica, id), *(_in_channel(replica, id, channel) for channel in channels))
    return [{**step, "replica": REDIS} for steps in found for step in steps]


async def _in_channel(replica: Replica, id: str, channel: str) -> list[Step]:
    record = acks.record(replica.names, channel, id)
    offset, frame, reply = await asyncio.gather(
        replica.history.offset(channel, id),
        replica.history.frame(channel, id),
        replica.lane.run(*acks.look(record)),
    )
    steps: list[Step] = []
    if frame is not None:
        facts = {"offset": offset, "epoch": "", "type": frame.get("type"), "from": frame.get("from")}
        steps.append({"at": _seconds(frame.get("timestamp")), "station": "kept", "channel": channel, **facts})
    if reply[0]:
        steps.append({"at": None, "channel": channel, **_awaited(acks.standing(reply))})
    return steps


def _awaited(standing: acks.Standing) -> Step:
    """What is known of an acknowledgement that the sender asked for."""
    if standing.outcome is None:
        return {"station": "awaited", "left_seconds": round(standing.left_seconds, 3)}
    if standing.outcome.by is None:
        return {"station": "expired"}
    return {"station": "acknowledged", **standing.outcome.by._asdict(), "result": standing.outcome.status}


async def _waiting(replica: Replica, id: str) -> list[Step]:
    """Whether it is in the ingress, and no replica has published it yet."""
    entries = await replica.lane.call("XRANGE", replica.names.ingress, "-", "+", "COUNT", MOST_WAITING)
    steps: list[Step] = []
    for entry_id, fields in entries.items() if isinstance(entries, dict) else entries:
        values = dict(pairs(fields))
        try:
            parcel = ingress.parcel(entry_id.decode(), values)
        except FairleadError:
            # Whoever takes it says what is wrong with it.
            continue
        if parcel.envelope.id == id:
            at = int(entry_id.partition(b"-")[0]) / 1000
            facts = {"channel": parcel.channel, "bytes": len(values[b"message"])}
            steps.append({"at": at if is_moment(at) else None, "station": "waiting", **facts})
    return steps


def _seconds(timestamp: Any) -> float | None:
    """A time as messages carry it, in Unix seconds; publishers may have put anything there."""
    try:
        seconds = datetime.fromisoformat(timestamp).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if is_moment(seconds) else None


def is_moment(seconds: float) -> bool:
    """Whether it is a time (Unix seconds) that can be told."""
    return 0 <= seconds < _NEVER
