"""The receiver: everything that the sockets of this replica hear, one message at a time for each client."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import structlog

from fairlead import codes
from fairlead.errors import FairleadError, HandlerTimeout, InvalidMessage, RateLimited, UnknownAction
from fairlead_gateway.logs import ACTIONS_OF, speaking
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import heartbeat, leaving
from fairlead_gateway.sessions.actions import BUILTINS
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.forwarding import forward, is_forwarded
from fairlead_gateway.sessions.handlers import answer
from fairlead_gateway.sessions.reading import action_of, checked, read_frame, ref_of
from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)

MAX_INBOX = 64
"""Actions of one client that may wait for an earlier one before we stop reading from it."""


class Fault(FairleadError):
    """Something of ours went wrong; the client learns no more than that."""

    code = "internal"


class Receiver:
    """
    Listens to every socket (see `fairlead_gateway.pool.socket.Listener`).

    ``ping`` is answered on the spot. Everything else is done in order, one action of a client after the other, in a
    task that exists only while there is something to do.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._now = time.monotonic
        settings = replica.settings
        self._per_message = 1 / settings.rate_messages_per_second if settings.rate_messages_per_second else 0.0
        self._per_byte = 1 / settings.rate_bytes_per_second if settings.rate_bytes_per_second else 0.0

    # -- Listener --------------------------------------------------------------------------------

    def message(self, connection: Connection, payload: bytes, is_text: bool) -> None:
        replica = self._replica
        if not connection.joined:
            return
        replica.counters.messages_received += 1
        ref = None
        try:
            wait = connection.meter.spend(self._now(), len(payload), self._per_message, self._per_byte)
            frame = read_frame(payload, is_text, bool(connection.format & 1), replica.settings.max_message_depth)
            ref = ref_of(frame)
            if wait:
                raise RateLimited("too many messages or bytes; wait before the next", retry_ms=int(wait * 1000) + 1)
            action = action_of(frame)
            if action == "ping":
                replica.voice.pong(connection, ref, frame.get("timestamp"))
            elif action == "pong":
                heartbeat.answered(replica, connection, heartbeat.PING)
                replica.soundings.heard_plain(connection)
            else:
                self._queue(connection, frame)
        except FairleadError as error:
            self._refuse(connection, ref, error)

    def pong(self, connection: Connection, payload: bytes) -> None:
        heartbeat.answered(self._replica, connection, payload)
        self._replica.soundings.heard(connection, payload)

    def slow(self, connection: Connection) -> None:
        # Said in the middle of a fan-out's write: the members must not change under its hands.
        asyncio.get_running_loop().call_soon(
            leaving.end, self._replica, connection, codes.SLOW_CONSUMER, "reads slower than it is written to"
        )

    def flooded(self, connection: Connection) -> None:
        leaving.end(self._replica, connection, codes.FLOODING, "too many control frames")

    def closed(self, connection: Connection, code: int, reason: str) -> None:
        leaving.gone(self._replica, connection, code, reason)

    # -- one action after the other ----------------------------------------------------------------

    def _queue(self, connection: Connection, frame: dict[str, Any]) -> None:
        if connection.inbox is None:
            connection.inbox = deque((frame,))
            self._replica.tasks.start(self._work_off(connection, connection.inbox), name=ACTIONS_OF + connection.id)
            return
        connection.inbox.append(frame)
        if len(connection.inbox) == MAX_INBOX:
            connection.socket.pause_reading()

    async def _work_off(self, connection: Connection, inbox: deque[dict[str, Any]]) -> None:
        speaking.set((connection.id, connection.user_id))
        try:
            while inbox and connection.joined:
                await self._handle(connection, inbox.popleft())
                if len(inbox) == MAX_INBOX - 1:
                    connection.socket.resume_reading()
        finally:
            connection.inbox = None

    async def _handle(self, connection: Connection, frame: dict[str, Any]) -> None:
        context = Context(self._replica, connection)
        began = self._now()
        if (spans := self._replica.spans) is None:
            await self._answer(connection, frame, context)
        else:
            with spans.receive(frame.get("action", frame.get("type")), connection.user_id, connection.id):
                await self._answer(connection, frame, context)
        self._replica.counters.action_ms.add((self._now() - began) * 1000)
        for do in context.afterwards:
            do()

    async def _answer(self, connection: Connection, frame: dict[str, Any], context: Context) -> None:
        ref = ref_of(frame)
        limit = self._replica.settings.message_timeout_seconds
        try:
            async with asyncio.timeout(limit) as deadline:
                perform = self._replica.handlers.around(self._do)
                result = await perform(frame, context)
            if not context.has_answered:
                self._replica.voice.reply(connection, ref, result if isinstance(result, dict) else {"result": result})
        except FairleadError as error:
            self._refuse(connection, ref, error)
        except TimeoutError as error:
            if not deadline.expired():
                self._fault(connection, ref, frame, error)
            else:
                self._refuse(connection, ref, HandlerTimeout(f"no answer within {limit:g} s; ask again, or ask less"))
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Not we were cancelled, but something that a handler awaited.
            self._fault(connection, ref, frame, error)
        except Exception as error:  # noqa: BLE001 - a handler's fault, whatever it is, ends as an error frame
            self._fault(connection, ref, frame, error)

    async def _do(self, frame: dict[str, Any], context: Context) -> Any:
        """The innermost step, inside all middleware: the action itself."""
        action = action_of(frame)
        context.frame = frame
        builtin = BUILTINS.get(action)
        if builtin is not None:
            return await builtin.do(context, checked(builtin.model, frame))
        if action == "connect":
            raise InvalidMessage("connect comes first, and only once; use refresh for a new token")
        handler = self._replica.handlers.get(action)
        if handler is None:
            if is_forwarded(self._replica.settings.forwarded_actions, action):
                return await forward(context, action, ref_of(frame), frame)
            raise UnknownAction(f"no such action: {action[:64]}")
        if (spans := self._replica.spans) is None:
            return await answer(handler, frame, context)
        with spans.handle(action):
            return await answer(handler, frame, context)

    # -- what went wrong ---------------------------------------------------------------------------

    def _refuse(self, connection: Connection, ref: str | None, error: FairleadError) -> None:
        replica = self._replica
        replica.counters.errors += 1
        replica.tallies.error(error.code)
        if replica.spans is not None:
            replica.spans.refused(error.code)
        log.debug("action refused", connection_id=connection.id, user_id=connection.user_id, code=error.code, ref=ref)
        replica.voice.error(connection, ref, error)
        if connection.meter.err(self._now(), replica.settings.max_errors_per_minute):
            leaving.end(replica, connection, codes.FLOODING, "too many errors")

    def _fault(self, connection: Connection, ref: str | None, frame: dict[str, Any], error: BaseException) -> None:
        who = {"connection_id": connection.id, "user_id": connection.user_id}
        log.error("action failed", **who, code=Fault.code, action=frame.get("action"), exc_info=error)
        self._replica.events.emit("error", error=error, connection_id=connection.id, action=frame.get("action"))
        self._refuse(connection, ref, Fault("something went wrong here; it was logged"))
