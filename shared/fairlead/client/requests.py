"""What the client has asked and waits to be told, across connections (A1 to A4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex
from typing import Any, Final

from fairlead.client.told import Frame
from fairlead.errors import ClientError, FairleadError, InvalidMessage, TooLarge, error_of
from fairlead.format.codec import to_json
from fairlead.format.past import Past
from fairlead.ids import uuid7

MAX_WAITING: Final = 1_000

REPEATABLE: Final = frozenset(
    {
        "ack",
        "cancel",
        "confirm",
        "get_state",
        "history",
        "join_session",
        "leave_session",
        "list_confirms",
        "message",
        "patch",
        "ping",
        "presence",
        "read",
        "subscribe",
        "subscribe_task",
        "typing",
        "unsubscribe",
        "unsubscribe_task",
        "unwatch_live",
        "watch_live",
    }
)
"""Built-in actions, which are harmless when said twice; not ``refresh``, whose token the next connection has anyway."""

_OWN_IDS: Final = {"message": "message_id", "patch": "patch_id"}
"""What makes a repetition harmless, chosen before the first time."""


@dataclass(slots=True, eq=False)
class Request:
    """One question to the gateway, and the future of its answer."""

    ref: str
    frame: Frame
    data: bytes
    """As JSON."""
    repeatable: bool
    answer: asyncio.Future[Frame]
    is_sent: bool = False
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class Requests:
    """The table of them, in the order of asking."""

    def __init__(self) -> None:
        self._prefix = token_hex(4)
        self._count = count(1)
        self._waiting: dict[str, Request] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, action: str, fields: Mapping[str, Any], timeout: float, repeatable: bool | None) -> Request:
        """
        Note a new request; its answer fails by itself after *timeout* seconds.

        :raises ClientError: ``too_many``.
        :raises InvalidJson: a field cannot be carried.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise ClientError(
                "too_many", f"{MAX_WAITING} requests wait already; wait for some of them", limit=MAX_WAITING
            )
        frame = framed(action, fields)
        if (own := _OWN_IDS.get(action)) and frame.get(own) is None:
            frame[own] = uuid7()
        # Unlike a bare number, no late answer to another device can be taken for ours.
        ref = frame.setdefault("id", f"{self._prefix}-{next(self._count)}")
        if not isinstance(ref, str) or ref in self._waiting:
            raise InvalidMessage("the id of a request is a string that no other request under way has")
        loop = asyncio.get_running_loop()
        may_repeat = action in REPEATABLE if repeatable is None else repeatable
        request = Request(ref, frame, to_json(frame), may_repeat, loop.create_future())
        request.timer = loop.call_later(timeout, self._expired, request, timeout)
        self._waiting[ref] = request
        return request

    def answered(self, frame: Frame) -> Request | None:
        """The request that *frame* answers, which is over by that; None if it answers none."""
        request = self._waiting.get(str(frame.get("ref")))
        if request is None:
            return None
        self.forget(request)
        if request.answer.done():
            return None
        if frame.get("type") == "error" or ("code" in frame and frame.get("ok") is False):
            request.answer.set_exception(error_in(frame))
        else:
            request.answer.set_result(frame)
        return request

    def forget(self, request: Request) -> None:
        """It is over, or nobody waits for it any more: it will not be said."""
        if request.timer is not None:
            request.timer.cancel()
        if self._waiting.get(request.ref) is request:
            del self._waiting[request.ref]

    def frames(self) -> list[Frame]:
        """What they say."""
        return [request.frame for request in self._waiting.values()]

    def unsaid(self) -> list[Request]:
        """Those that this connection has not been told, in order."""
        return [request for request in self._waiting.values() if not request.is_sent]

    def broke(self, *, too_large: bool = False) -> None:
        """
        The connection ended: what may be said again will be, the rest has failed.

        :param too_large: it ended for the size of something that was said, so that the largest is not said again.
        """
        under_way = [request for request in self._waiting.values() if request.is_sent]
        if too_large and under_way:
            largest = max(under_way, key=lambda request: len(request.data))
            self._fail(largest, TooLarge("the gateway takes no messages of this size", size=len(largest.data)))
        for request in under_way:
            request.is_sent = False
            if not request.repeatable:
                action = request.frame["action"]
                self._fail(request, ClientError("disconnected", f"the connection broke before {action} was answered"))

    def close(self, error: FairleadError) -> None:
        """Nothing will be said any more."""
        for request in list(self._waiting.values()):
            self._fail(request, error)

    def _expired(self, request: Request, timeout: float) -> None:
        action = request.frame["action"]
        self._fail(request, ClientError("timeout", f"no answer to {action} within {timeout:g} s", action=action))

    def _fail(self, request: Request, error: FairleadError) -> None:
        self.forget(request)
        if not request.answer.done():
            request.answer.set_exception(error)


def framed(action: str, fields: Mapping[str, Any]) -> Frame:
    """The frame that says *action*."""
    return {"action": action} | {name: value for name, value in fields.items() if name != "action"}


def given(**fields: Any) -> Frame:
    """Those *fields* that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def past_in(reply: Frame) -> Past:
    """The page that the reply to ``history`` tells."""
    return Past(**{name: reply[name] for name in Past._fields})


def error_in(frame: Frame) -> FairleadError:
    """The error that a frame tells."""
    detail = frame.get("detail")
    facts = {str(key): value for key, value in detail.items()} if isinstance(detail, dict) else {}
    return error_of(str(frame.get("code", "internal")), str(frame.get("message", "")), facts)
