"""The recorder: what was published with which result, what reached which device in which order, who was told what."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias


class Published(NamedTuple):
    """A publish that was acknowledged."""

    channel: str
    id: str
    offset: int
    epoch: str
    began: float
    ended: float
    number: int
    """Publishes of one publisher count up; see `tries`."""
    tries: int
    """How often it was said; one that was said again may come behind later ones."""
    is_duplicate: bool = False
    """Whether an earlier try had been stored."""


class Refused(NamedTuple):
    """A publish that ended in an error."""

    channel: str
    id: str
    is_unknown: bool
    """Whether it may have been stored all the same."""
    why: str
    ended: float


class Stood(NamedTuple):
    """A device was told where a channel stands: in the greeting, a reply, or an ``epoch_changed``."""

    when: float
    channel: str
    offset: int
    epoch: str
    recovered: bool | None
    """None on a first subscription; False says that something may have been missed up to here."""


class Delivered(NamedTuple):
    """A message that passed the device's check."""

    when: float
    channel: str
    id: str
    offset: int
    epoch: str
    """As the device knew it then."""


class Skipped(NamedTuple):
    """The stand-in of a message that the device may not have."""

    when: float
    channel: str
    offset: int
    epoch: str


class Dropped(NamedTuple):
    """A message that the device's check took for an old one."""

    when: float
    channel: str
    id: str
    offset: int
    epoch: str


class Ahead(NamedTuple):
    """A message behind a hole, which the device has asked to fill."""

    when: float
    channel: str
    id: str
    offset: int
    expected: int


class Closed(NamedTuple):
    """The end of a connection."""

    when: float
    code: int
    reason: str


Event: TypeAlias = Stood | Delivered | Skipped | Dropped | Ahead | Closed


@dataclass(slots=True)
class Diary:
    """All that happened to one device, in wire order, over all of its connections."""

    device: str
    events: list[Event] = field(default_factory=list)

    def write(self, event: Event) -> None:
        self.events.append(event)

    def of(self, channel: str) -> list[Event]:
        """What concerns *channel*."""
        return [event for event in self.events if not isinstance(event, Closed) and event.channel == channel]

    def channels(self) -> list[str]:
        """Where the device has ever stood, in the order in which it came there."""
        return list(dict.fromkeys(event.channel for event in self.events if isinstance(event, Stood)))


class Recorder:
    """The log of one run."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.refused: list[Refused] = []
        self.diaries: list[Diary] = []

    def diary(self, device: str) -> Diary:
        """An empty diary for a new device."""
        diary = Diary(device)
        self.diaries.append(diary)
        return diary

    def acknowledged(self, channel: str) -> list[Published]:
        return [one for one in self.published if one.channel == channel]


def now() -> float:
    """The clock of every record, seconds."""
    return time.monotonic()
