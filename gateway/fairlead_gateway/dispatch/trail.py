"""The trail: the stations at which messages passed this replica lately, to be found by their ids (RT-8)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from time import time
from typing import Any, Final, NamedTuple, TypeAlias

import structlog

from fairlead_gateway.dispatch.outgoing import Outgoing

log = structlog.get_logger(__name__)

STATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "received": ("user_id", "connection_id", "action"),
    "forwarded": ("user_id", "connection_id", "action"),
    "published": ("offset", "epoch", "duplicate", "receivers", "took_ms"),
    "dropped": ("code", "why"),
    "relayed": ("offset", "epoch", "sockets", "exclude"),
    "replayed": ("user_id", "connection_id", "device_id"),
    "acknowledged": ("user_id", "connection_id", "device_id", "result"),
}
"""What is known at each, beside the time, the id and the channel; the log calls it ``message <station>``."""

FOUND: Final = 500
"""Steps told of one message; who asks learns the earliest."""

LONGEST_ID: Final = 128
LONGEST_NAME: Final = 160

Passage: TypeAlias = tuple[float, str, str, str, tuple[Any, ...]]
"""Unix seconds, station, id, channel, and what `STATIONS` names."""

Step: TypeAlias = dict[str, Any]
"""One passage, as it is told: ``at`` (Unix seconds), ``station``, ``channel``, and what is known of it."""


class At(NamedTuple):
    """Where a message is in a durable channel."""

    channel: str
    offset: int
    epoch: str
    """As far as it is known."""

    def is_within(self, stretch: Stretch) -> bool:
        """Whether it is in this *stretch* of this channel, and of this run of offsets."""
        is_same_run = not self.epoch or not stretch.epoch or _run(self.epoch) == _run(stretch.epoch)
        return stretch.channel == self.channel and stretch.first <= self.offset <= stretch.last and is_same_run


class Stretch(NamedTuple):
    """What was done with all messages of a channel from one offset to another."""

    at: float
    station: str
    channel: str
    first: int
    last: int
    epoch: str
    facts: tuple[Any, ...]


class Trail:
    """
    Remembers the latest passages, and says them to the log if that is wanted.

    A message costs one small tuple, however many sockets it goes to; looking for one goes through all of them.

    :param size: passages that are remembered, and as many stretches; 0 remembers nothing.
    :param logs: whether each is logged, too.
    """

    def __init__(self, size: int, logs: bool = False) -> None:
        self._passages: deque[Passage] = deque(maxlen=size)
        self._stretches: deque[Stretch] = deque(maxlen=size)
        self._logs = logs
        self.is_kept = size > 0

    # -- what passes -------------------------------------------------------------------------------

    def relayed(self, channel: str, messages: Sequence[Outgoing], sockets: int) -> None:
        """*messages*, which came from Redis, were handed to as many *sockets* as sit in *channel* here."""
        now, keep = time(), self._passages.append
        for message in messages:
            # What stands in Redis may have been forged, and be of any length.
            facts = (message.offset, message.epoch[:LONGEST_NAME], sockets, message.exclude[:LONGEST_NAME])
            keep((now, "relayed", message.id[:LONGEST_ID], channel, facts))

    def note(self, station: str, id: str, channel: str, *facts: Any, at: float = 0.0) -> None:
        """The message *id* is at *station*, now or since *at*; see `STATIONS` for the facts."""
        if self.is_kept:
            self._passages.append((at or time(), station, id, channel, facts))
        if self._logs:
            named = zip(STATIONS[station], facts, strict=True)
            log.debug(f"message {station}", message_id=id, channel=channel, **dict(named))

    def stretch(self, station: str, channel: str, first: int, last: int, epoch: str, *facts: Any) -> None:
        """All messages of *channel* from the offset *first* to *last* are at *station*."""
        if self.is_kept:
            self._stretches.append(Stretch(time(), station, channel, first, last, epoch[:LONGEST_NAME], facts))

    # -- what has passed ---------------------------------------------------------------------------

    def of(self, id: str, places: Collection[At] = ()) -> list[Step]:
        """
        Where the message *id* has passed, in the order in which that was noted; the first `FOUND` steps.

        :param places: where else it is known to stand, beside those at which it has passed here.
        """
        passed = [passage for passage in self._passages if passage[2] == id]
        steps = [_step(at, station, channel, facts) for at, station, _, channel, facts in passed]
        known = {*places, *places_of(steps)}
        return [*islice((*steps, *self._within(known)), FOUND)]

    def _within(self, places: Collection[At]) -> Iterator[Step]:
        """What was done with stretches that hold one of *places*: of each connection the first of its kind."""
        told: set[tuple[Any, ...]] = set()
        for stretch in self._stretches if places else ():
            about = (stretch.station, stretch.channel, *stretch.facts)
            if about not in told and any(place.is_within(stretch) for place in places):
                told.add(about)
                yield _step(stretch.at, stretch.station, stretch.channel, stretch.facts)


def places_of(steps: Collection[Mapping[str, Any]]) -> set[At]:
    """Where in durable channels a message stands, as far as its *steps* tell."""
    places: set[At] = set()
    for step in steps:
        match step:
            case {"channel": str(channel), "offset": int(offset), "epoch": str(epoch)} if offset:
                places.add(At(channel, offset, epoch))
    return places


def _step(at: float, station: str, channel: str, facts: tuple[Any, ...]) -> Step:
    return {
        "at": at,
        "station": station,
        "channel": channel,
        **dict(zip(STATIONS[station], facts, strict=True)),
    }


def _run(epoch: str) -> str:
    """The run of offsets, whichever master gave the latest of them; see `fairlead.format.position.Position.epoch`."""
    return epoch.partition(".")[0]
