"""Orders to replicas: envelopes that are not for clients but for whoever holds the sockets of a channel."""

from __future__ import annotations

import json
from typing import NamedTuple

from fairlead.envelope import CONTROL, Envelope
from fairlead.errors import InvalidMessage
from fairlead.ids import uuid7


class Order(NamedTuple):
    """Close every connection of the channel, which is ``connection:<id>`` or ``user:<id>``."""

    code: int
    reason: str


def close_order(code: int, reason: str) -> Envelope:
    """The envelope that has connections closed with *code*; publish it ephemerally."""
    frame = json.dumps({"op": "close", "code": code, "reason": reason}, ensure_ascii=False).encode()
    return Envelope(uuid7(), "close", frame, flags=CONTROL)


def read_order(envelope: Envelope) -> Order:
    """
    The order in *envelope*.

    :raises InvalidMessage: it is none that we know; a newer version may have sent it.
    """
    try:
        order = json.loads(envelope.frame)
        if order["op"] == "close" and 1000 <= order["code"] < 5000 and isinstance(order["reason"], str):
            return Order(order["code"], order["reason"])
    except (ValueError, TypeError, LookupError) as error:
        raise InvalidMessage("not an order") from error
    raise InvalidMessage("not an order of this version")
