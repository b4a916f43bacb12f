"""Orders to replicas: to whichever holds a connection, sent on its channel or its user's, or to all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from fairlead.codes import CLOSES
from fairlead.errors import FairleadError, InvalidMessage
from fairlead.format.codec import from_json, to_json
from fairlead.format.envelope import CONTROL, Envelope
from fairlead.ids import uuid7

TYPE: Final = "control"

CODES: Final = frozenset(close.code for close in CLOSES)


class CloseOrder(NamedTuple):
    """Close every connection that hears this."""

    code: int
    reason: str
    """As a close frame carries it, see `fairlead.codes.Close.reason`."""


class LookOrder(NamedTuple):
    """Look again at what there is of the user whose channel this is; what is true is not in the order."""

    at: str
    """``tasks``."""


class SurveyOrder(NamedTuple):
    """Tell the replica that asks what you know."""

    id: str
    what: str
    """Which question, by a name that replicas know; one of a later version is not answered."""
    about: Mapping[str, Any]
    to: str
    """The channel on which the answer is awaited."""


class Finding(NamedTuple):
    """What one replica answers to a `SurveyOrder`."""

    id: str
    replica: str
    found: Mapping[str, Any]


class TapOrder(NamedTuple):
    """Show the replica that asks what passes by you; what is said last of the same *id* counts."""

    id: str
    wanted: Mapping[str, Any]
    """What to show of it, and how much at most."""
    content: bool
    """Whether to show what messages say, too, where the replica's own settings allow it."""
    seconds: float
    """For how long, unless it is said again; 0 for no longer."""
    to: str
    """The channel on which it is awaited."""


class Sighting(NamedTuple):
    """What one replica has seen of late that a `TapOrder` asks for."""

    id: str
    items: Sequence[Any]
    dropped: int
    """How much else it has seen, more than was to be shown."""


Order: TypeAlias = CloseOrder | LookOrder | SurveyOrder | Finding | TapOrder | Sighting

KNOWN: Final = frozenset({"close", "look", "survey", "finding", "tap", "sighting"})


def look_order(at: str) -> Envelope:
    """The order to look at what a user has; publish it with ``durable=False``: who comes later looks anyway."""
    return Envelope(uuid7(), TYPE, to_json({"op": "look", "at": at}), "", CONTROL)


def close_order(code: int, reason: str, *, exclude: str = "") -> Envelope:
    """
    The order to close with *code*; publish it with ``durable=False``: it is for those who are here now.

    :param exclude: ``connection:<id>`` that stays open.
    """
    if code not in CODES:
        raise InvalidMessage(f"{code} is not a code that we close with")
    frame = to_json({"op": "close", "code": code, "reason": reason})
    return Envelope(uuid7(), TYPE, frame, exclude, CONTROL)


def survey_order(order: SurveyOrder) -> Envelope:
    """*order* to whoever hears the channel that it is published on; with ``durable=False``, as nobody asks later."""
    return Envelope(uuid7(), TYPE, to_json({"op": "survey", **order._asdict()}), "", CONTROL)


def finding(answer: Finding) -> Envelope:
    """
    *answer* to the channel on which it is awaited.

    :raises InvalidJson: something in it has no form in JSON.
    """
    return Envelope(uuid7(), TYPE, to_json({"op": "finding", **answer._asdict()}), "", CONTROL)


def tap_order(order: TapOrder) -> Envelope:
    """*order* to whoever hears the channel that it is published on; with ``durable=False``, as it is for now."""
    return Envelope(uuid7(), TYPE, to_json({"op": "tap", **order._asdict()}), "", CONTROL)


def sighting(seen: Sighting) -> Envelope:
    """
    *seen* to the channel on which it is awaited; with ``durable=False``.

    :raises InvalidJson: something in it has no form in JSON.
    """
    return Envelope(uuid7(), TYPE, to_json({"op": "sighting", **seen._asdict()}), "", CONTROL)


def parse(envelope: Envelope) -> Order | None:
    """
    The order in *envelope*; None for a message to clients, and for orders of a later version.

    :raises InvalidMessage: for an order that is malformed; bytes from Redis are not trusted.
    """
    if not envelope.flags & CONTROL:
        return None
    try:
        order = from_json(envelope.frame)
    except FairleadError as error:
        raise InvalidMessage("a malformed order") from error
    match order:
        case {"op": "close", "code": int(code), "reason": str(reason)} if code in CODES:
            return CloseOrder(code, reason)
        case {"op": "look", "at": str(at)}:
            return LookOrder(at)
        case {"op": "survey", "id": str(id), "what": str(what), "about": dict(about), "to": str(to)}:
            return SurveyOrder(id, what, about, to)
        case {"op": "finding", "id": str(id), "replica": str(replica), "found": dict(found)}:
            return Finding(id, replica, found)
        case {
            "op": "tap",
            "id": str(id),
            "wanted": dict(wanted),
            "content": bool(content),
            "seconds": int(seconds) | float(seconds),
            "to": str(to),
        }:
            return TapOrder(id, wanted, content, seconds, to)
        case {"op": "sighting", "id": str(id), "items": list(items), "dropped": int(dropped)}:
            return Sighting(id, items, dropped)
        case {"op": str(op)} if op not in KNOWN:
            return None
    raise InvalidMessage("a malformed order")
