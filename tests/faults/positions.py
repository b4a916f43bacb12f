"""The rules of a client that loses nothing, without a socket: what to remember, to drop, and to ask for again."""

from __future__ import annotations

from typing import Any, Final

from tests.faults.recorder import Ahead, Delivered, Diary, Dropped, Skipped, Stood, now

Frame = dict[str, Any]

_REF: Final = "about "
"""What our own questions are called; the channel follows."""


class Place:
    """Where a client stands in one channel."""

    __slots__ = ("epoch", "has_hole", "id", "is_asking", "offset")

    def __init__(self) -> None:
        self.offset = 0
        self.epoch = ""
        """Empty until the server has told it."""
        self.id = ""
        self.has_hole = False
        """Whether something behind the position has come that does not follow it."""
        self.is_asking = False
        """Whether the server has been asked about this channel, and has yet to answer."""

    def jump(self, offset: int, epoch: str) -> None:
        self.offset, self.epoch, self.id = offset, epoch, ""

    def public(self) -> Frame:
        """The position as a server wants it."""
        return {"offset": self.offset, "epoch": self.epoch, **({"id": self.id} if self.id else {})}


class Positions:
    """
    What a device knows about the channels it hears, kept over reconnections.

    :param checks: without it nothing is dropped and no hole is asked for, as a careless client would have it.
    """

    def __init__(self, diary: Diary, channels: list[str], *, checks: bool = True) -> None:
        self._diary = diary
        self._checks = checks
        self.places = {channel: Place() for channel in channels}

    def recover(self) -> dict[str, Frame]:
        """What to ask for in the first frame of a new connection."""
        for place in self.places.values():
            place.is_asking = place.has_hole = False
        return {channel: place.public() for channel, place in self.places.items() if place.epoch}

    def wants(self) -> list[Frame]:
        """What to ask the server: to come in where it was never heard, to fill holes; each until it was answered."""
        return [self._ask(channel, place) for channel, place in self.places.items() if _is_wanting(place)]

    @property
    def has_holes(self) -> bool:
        return any(place.has_hole for place in self.places.values())

    @property
    def is_whole(self) -> bool:
        """Whether the server has answered everything, and nothing is missing as far as can be seen."""
        return not any(place.has_hole or place.is_asking or not place.epoch for place in self.places.values())

    def hear(self, frame: Frame) -> None:
        """Take in a *frame*."""
        kind = frame.get("type")
        if kind in ("connection_established", "reply"):
            for channel, facts in frame.get("channels", {}).items():
                self._stand(channel, facts)
        elif kind == "epoch_changed":
            self._stand(frame["channel"], frame)
        elif kind == "error":
            self._refused(str(frame.get("ref")))
        elif frame.get("offset") and frame.get("channel") in self.places:
            self._take(frame, self.places[frame["channel"]])

    def _stand(self, channel: str, facts: Frame) -> None:
        place = self.places.get(channel)
        if place is None or "epoch" not in facts:
            return
        place.is_asking = place.has_hole = False
        recovered = facts.get("recovered") if place.epoch else None
        if recovered:
            # What was missed follows, or nothing was: only the epoch may be another.
            place.epoch = facts["epoch"]
        else:
            place.jump(facts["offset"], facts["epoch"])
        self._diary.write(Stood(now(), channel, facts["offset"], facts["epoch"], recovered))

    def _take(self, frame: Frame, place: Place) -> None:
        channel, offset, id_ = frame["channel"], frame["offset"], frame.get("id", "")
        if self._checks and offset <= place.offset:
            self._diary.write(Dropped(now(), channel, id_, offset, place.epoch))
        elif self._checks and offset > place.offset + 1:
            place.has_hole = True
            self._diary.write(Ahead(now(), channel, id_, offset, place.offset + 1))
        else:
            place.offset, place.id = offset, id_
            if frame["type"] == "skipped":
                self._diary.write(Skipped(now(), channel, offset, place.epoch))
            else:
                self._diary.write(Delivered(now(), channel, id_, offset, place.epoch))

    def _refused(self, ref: str) -> None:
        place = self.places.get(ref.removeprefix(_REF))
        if place is not None:
            place.is_asking = False

    def _ask(self, channel: str, place: Place) -> Frame:
        place.is_asking = True
        kind, _, name = channel.partition(":")
        where = {"action": "join_session", "session_id": name} if kind == "session" else _subscribe(channel)
        recover = {"recover": {channel: place.public()}} if place.epoch else {}
        return {**where, "id": _REF + channel, **recover}


def _is_wanting(place: Place) -> bool:
    return (place.has_hole or not place.epoch) and not place.is_asking


def _subscribe(channel: str) -> Frame:
    return {"action": "subscribe", "channels": [channel]}
