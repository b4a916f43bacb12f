"""The conversation: what is made of every frame that is heard, and what is asked, whatever becomes of connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from fairlead.client.acks import Acks
from fairlead.client.delivery import Delivery, Item
from fairlead.client.handlers import ERROR, FRAME, RECOVERED, STATE, Handlers, Key, keys_of
from fairlead.client.link import Link
from fairlead.client.mirror import Mirror
from fairlead.client.options import Options
from fairlead.client.positions import Positions
from fairlead.client.requests import Request, Requests, error_in, framed
from fairlead.client.tokens import Tokens
from fairlead.client.told import End, Frame, Recovery, StateChange
from fairlead.client.whole import Whole
from fairlead.errors import ClientError, FairleadError
from fairlead.format.codec import to_json
from fairlead.format.position import Position

log = logging.getLogger("fairlead.client")

ACK_SECONDS: Final = 60.0
"""How long an acknowledgement waits to be said."""

_ANSWERS: Final = frozenset({"reply", "error", "pong", "confirm_ack", "connection_established"})

_SEATING: Final = frozenset({"subscribe", "join_session", "subscribe_task"})

_QUIET: Final = frozenset({"closed", "disconnected"})


class Conversation:
    """Listens to the `Link`. Nothing here waits; what may is in the hands of `Delivery`."""

    def __init__(self, options: Options, tokens: Tokens, positions: Positions) -> None:
        self.options = options
        self.link = Link(options, tokens, self)
        self.requests = Requests()
        self.positions = positions
        self.handlers = Handlers()
        self.delivery = Delivery(self.failed, self.link.let_go, self.link.go_on)
        self.news = Delivery(_log)
        self.acks = Acks(self._acknowledge, automatic=options.auto_ack)
        self.mirrors: dict[str, Mirror] = {}
        """By channel, or by the types that they want to see."""
        self.greeting: Frame = {}
        self._has_been_open = False
        self._whole = Whole(positions, self.ask, self.link.come_back, self._recovered)

    # -- the whole of it ---------------------------------------------------------------------------

    def begin(self) -> None:
        """Before the link is started: messages wait until whoever starts it has had time to say who hears them."""
        if self.link.state in ("idle", "stopped"):
            self.delivery.hold()

    async def close(self, seconds: float) -> None:
        """
        End, and leave nothing running.

        :param seconds: how long handlers of the last news may take.
        """
        try:
            await self.link.stop()
        finally:
            self.positions.restore(self.delivery.undelivered())
            await self.delivery.close()
            await self.news.drain(seconds)
            await self.news.close()

    def shown(self) -> dict[str, Position]:
        """Where the application stands, which has yet to be given what waits."""
        known = self.positions.known() | self.delivery.undelivered()
        return {channel: position for channel, position in known.items() if position is not None and position.epoch}

    # -- asking ------------------------------------------------------------------------------------

    def ask(
        self, action: str, fields: Mapping[str, Any], timeout: float | None = None, repeatable: bool | None = None
    ) -> Request:
        """
        Say *action*, now or when there is a connection; its future has the answer.

        :raises FairleadError: it cannot be carried, or the client has ended, or too much waits.
        """
        if self.link.state == "stopped":
            raise ClientError("closed", f"the client has ended: {action} will not be said")
        seconds = self.options.reply_timeout if timeout is None else timeout
        request = self.requests.add(action, fields, seconds, repeatable)
        self._say(request)
        self.link.hurry()
        return request

    async def request(
        self, action: str, fields: Mapping[str, Any], timeout: float | None = None, repeatable: bool | None = None
    ) -> Frame:
        """As `ask`, and wait for the reply."""
        request = self.ask(action, fields, timeout, repeatable)
        try:
            return await request.answer
        finally:
            self.requests.forget(request)

    async def leave(self, action: str, fields: Mapping[str, Any], *channels: str) -> None:
        """Hear *channels* no more; without a connection it is enough not to ask for them again."""
        self.positions.forget(channels)
        if self.link.state not in ("open", "connecting"):
            if self.link.state != "stopped" and self._asks_for(channels):
                self.ask_quietly(action, fields)
            return
        try:
            await self.request(action, fields)
        except FairleadError as error:
            if error.code != "closed":
                raise

    def _asks_for(self, channels: Iterable[str]) -> bool:
        """Whether one of *channels* is yet to be asked for."""
        asked = [frame for frame in self.requests.frames() if frame["action"] in _SEATING]
        return not {name for frame in asked for name in _asked_for(frame)}.isdisjoint(channels)

    def send(self, action: str, fields: Mapping[str, Any]) -> bool:
        """Say *action* without waiting for anything; False where it was not said."""
        frame = framed(action, fields)
        data = to_json(frame)
        return not self.link.is_congested and self.link.say(frame, data)

    def ask_quietly(
        self, action: str, fields: Mapping[str, Any], then: Callable[[Frame], None] | None = None, **ways: Any
    ) -> asyncio.Future[Frame] | None:
        """As `ask`, for what nobody awaits: an error is reported, and *then* called with the reply."""
        try:
            future = self.ask(action, fields, **ways).answer
        except FairleadError as error:
            self._report(error)
            return None

        def done(answer: asyncio.Future[Frame]) -> None:
            error = None if answer.cancelled() else answer.exception()
            if error is not None:
                self._report(error)
            elif then is not None and not answer.cancelled():
                then(answer.result())

        future.add_done_callback(done)
        return future

    def hearers(self, key: Key) -> Callable[[], list[Callable[[Any], object]]]:
        """Who will hear *key*, looked up when it is time."""
        return lambda: self.handlers.of([key])

    def _say(self, request: Request) -> None:
        request.is_sent = request.is_sent or self.link.say(request.frame, request.data)

    def _acknowledge(self, channel: str, ids: list[str]) -> None:
        where = {"channel": channel} if channel else {}
        self.ask_quietly("ack", {**where, "message_ids": ids}, timeout=ACK_SECONDS)

    def _report(self, error: BaseException) -> None:
        if isinstance(error, Exception) and getattr(error, "code", "") not in _QUIET:
            self.failed(error)

    # -- Listener: the life of the link ------------------------------------------------------------

    def recover(self) -> Mapping[str, Mapping[str, Any]]:
        return self._whole.recover()

    def greeted(self, greeting: Frame) -> None:
        beyond = self._whole.beyond()
        self.greeting = greeting
        self._whole.told(greeting.get("channels") or {})
        # First, since what was asked may be about one of these.
        self._whole.hear_again(beyond)
        for request in self.requests.unsaid():
            self._say(request)
        for mirror in self._all_mirrors() if self._has_been_open else []:
            mirror.opened()
        self._has_been_open = True

    def broke(self, end: End) -> None:
        self.positions.broke()
        self.requests.broke(too_large=end.code == 1009)
        if self.requests:
            self.link.hurry()

    def changed(self, change: StateChange) -> None:
        self.news.put(Item(change, self.hearers(STATE)))

    def stopped(self, error: FairleadError) -> None:
        self.requests.close(ClientError("closed", f"the client has ended: {error.message}"))
        for mirror in self._all_mirrors():
            mirror.stopped(error)
        self.delivery.finish(error)

    def failed(self, error: Exception) -> None:
        if self.handlers.of([ERROR]):
            self.news.put(Item(error, self.hearers(ERROR)))
        else:
            _log(error)

    def renew(self, token: str) -> None:
        self.ask_quietly("refresh", {"token": token}, self._refreshed, repeatable=False)

    def passed(self, way: str, frame: Frame) -> None:
        handlers = self.handlers.of([FRAME])
        if not handlers:
            return
        shown = {name: value for name, value in frame.items() if name != "token" or way == "in"}
        for handler in handlers:
            try:
                handler((way, shown))
            except Exception as error:  # noqa: BLE001 - a fault of the application's function, whatever it is
                self.failed(error)

    # -- Listener: frames --------------------------------------------------------------------------

    def heard(self, frame: Frame) -> None:
        kind = frame.get("type")
        if kind in _ANSWERS and not frame.get("late") and ("ref" in frame or "channel" not in frame):
            self._answered(frame)
        elif kind == "epoch_changed" and ("epoch" in frame or "offset" not in frame):
            self._whole.changed(frame)
        elif kind == "ping":
            self.link.say({"action": "pong"})
        else:
            self._message(frame, str(kind))

    def _message(self, frame: Frame, kind: str) -> None:
        channel, offset = str(frame.get("channel", "")), frame.get("offset")
        before = None
        if self.delivery.is_full:
            # It comes again, if it has an offset; the connection is here for its answers (M3).
            return
        if channel and isinstance(offset, int):
            before = self.positions.get(channel)
            verdict = self.positions.take(channel, offset, str(frame.get("id", "")))
            if verdict == "lost":
                self._recovered(Recovery(channel, recovered=False))
            if verdict == "hole":
                self._whole.mend(channel)
                return
            if verdict == "seen":
                if frame.get("requires_ack"):
                    self.acks.is_copy(frame)
                return
        if kind == "skipped" or (kind == "reply" and self.requests.answered(frame)):
            return
        wants_ack = bool(frame.get("requires_ack") and frame.get("id"))
        if wants_ack and self.acks.is_copy(frame):
            return
        mirrors = [self.mirrors[name] for name in (channel, kind) if name in self.mirrors]
        if not all([mirror.heard(frame) for mirror in mirrors]):  # noqa: C419 - all of them are to hear it
            if wants_ack:
                self.acks.handled(frame, fine=True)
            return
        self.delivery.put(
            Item(
                frame,
                lambda: self.handlers.of(keys_of(frame)),
                (lambda fine: self.acks.handled(frame, fine)) if wants_ack else None,
                channel if isinstance(offset, int) else "",
                before,
                is_heard=any(mirror.takes for mirror in mirrors),
            )
        )

    def _answered(self, frame: Frame) -> None:
        request = self.requests.answered(frame) if frame.get("ref") is not None else None
        if request is not None and frame.get("type") != "error":
            self._note(request.frame, frame)
        elif request is None and frame.get("type") == "error" and frame.get("ref") is None:
            self.failed(error_in(frame))

    def _note(self, asked: Frame, reply: Frame) -> None:
        """What an answer changes, before the frames behind it are looked at."""
        match asked["action"]:
            case action if action in _SEATING:
                self.positions.wanted.update(dict.fromkeys(_asked_for(asked)))
                self._whole.told(reply.get("channels") or {})
            case "unsubscribe" | "leave_session" | "unsubscribe_task":
                self.positions.forget(_asked_for(asked))

    def _refreshed(self, reply: Frame) -> None:
        self._whole.lost(reply.get("removed") or [])

    def _all_mirrors(self) -> list[Mirror]:
        return list({id(mirror): mirror for mirror in self.mirrors.values()}.values())

    def _recovered(self, recovery: Recovery) -> None:
        if (mirror := self.mirrors.get(recovery.channel)) is not None:
            mirror.recovered(recovery)
        self.delivery.put(Item(recovery, self.hearers(RECOVERED)))


def _asked_for(frame: Frame) -> list[str]:
    """The channels that *frame* is about."""
    if (session := frame.get("session_id")) is not None:
        return [f"session:{session}"]
    if (task := frame.get("task_id")) is not None:
        return [f"task:{task}"]
    return [str(channel) for channel in frame.get("channels", ())]


def _log(error: Exception) -> None:
    log.error("fairlead client: %s", error, exc_info=None if isinstance(error, FairleadError) else error)
