"""`fairlead.Client`: a Python program as a client of a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload
from weakref import WeakValueDictionary

from fairlead.client.address import checked_url
from fairlead.client.conversation import Conversation
from fairlead.client.delivery import Messages
from fairlead.client.handlers import ANY, ERROR, FRAME, RECOVERED, STATE, Off
from fairlead.client.instance import Instance
from fairlead.client.options import Options
from fairlead.client.positions import Given, Positions
from fairlead.client.questions import QuestionHandler, Questions
from fairlead.client.requests import given, past_in
from fairlead.client.session import Session
from fairlead.client.task import Task
from fairlead.client.tokens import Tokens, TokenSource
from fairlead.client.told import Frame, Recovery, State, StateChange
from fairlead.format.past import PAGE, Past
from fairlead.format.position import Position
from fairlead.names import checked_channel, checked_id

FAREWELL_SECONDS: Final = 1.0
"""How long handlers of the last change of state may take while `Client.close` waits."""

MessageHandler = Callable[[Frame], object]
Registered = TypeVar("Registered", bound=MessageHandler)


class Client:
    """
    A connection to a gateway that comes back by itself, and misses nothing (docs/clients.md)::

        async with fairlead.Client("ws://127.0.0.1:8000/ws", token=token) as client:
            await client.subscribe("topic:prices")
            async for message in client.messages("tick"):
                print(message["content"])

    Made anywhere, used in one event loop. Handlers may be functions or coroutine functions; messages are handed over
    one after the other, so that a handler that takes its time keeps the later ones waiting, and may itself await
    requests.

    :param url: of an endpoint, ``wss://example.org/ws``.
    :param token: a token, or a function that is asked for one whenever it is needed (O2, T1); it may be a coroutine
        function.
    :param device_id: this device has a stored cursor of its own.
    :param positions: of an earlier client, or what JSON made of them (P7).
    :param msgpack: speak msgpack in place of JSON.
    :param open_timeout: seconds for a socket and the greeting.
    :param reply_timeout: seconds for an answer, waiting for a connection included.
    :param backoff_min: seconds of the first step of the back-off; *backoff_max* is its bound.
    :param heartbeat: seconds of silence before a ping, in place of what the gateway names; 0 for none.
    :param pong_timeout: seconds that the gateway may be silent after one.
    :param auto_ack: whether messages are acknowledged by themselves; else by `ack`.
    :raises ImportError: the library ``websockets`` is missing: ``pip install 'fairlead[client]'``.
    :raises InvalidMessage: one of these cannot be what it should.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        device_id: str = "",
        positions: Mapping[str, Given] | None = None,
        msgpack: bool = False,
        open_timeout: float = 10.0,
        reply_timeout: float = 10.0,
        backoff_min: float = 0.5,
        backoff_max: float = 20.0,
        heartbeat: float | None = None,
        pong_timeout: float = 10.0,
        auto_ack: bool = True,
    ) -> None:
        # Where its library is missing, say so at once.
        import_module("fairlead.client.socket")
        options = Options(
            url=checked_url(url),
            device_id=checked_id(device_id, "device_id") if device_id else "",
            msgpack=msgpack,
            open_timeout=open_timeout,
            reply_timeout=reply_timeout,
            backoff_min=backoff_min,
            backoff_max=backoff_max,
            heartbeat=heartbeat,
            pong_timeout=pong_timeout,
            auto_ack=auto_ack,
        )
        self._talk = Conversation(options, Tokens(token), Positions(positions))
        self._questions = Questions(self._talk)
        self._sessions: WeakValueDictionary[str, Session] = WeakValueDictionary()
        self._tasks: WeakValueDictionary[str, Task] = WeakValueDictionary()
        self._instances: WeakValueDictionary[str, Instance] = WeakValueDictionary()

    # -- the connection ----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """``idle``, ``connecting``, ``open``, ``waiting`` or ``stopped``."""
        return self._talk.link.state

    @property
    def connection_id(self) -> str:
        """Of the current connection, else of the last one; empty before the first."""
        return str(self._talk.greeting.get("connection_id", ""))

    @property
    def user_id(self) -> str:
        """Whom the gateway takes us for."""
        return str(self._talk.greeting.get("user_id", ""))

    @property
    def replica(self) -> str:
        """Which replica we are, or were last, connected to."""
        return str(self._talk.greeting.get("replica", ""))

    @property
    def positions(self) -> dict[str, Position]:
        """Where the application stands: what its handlers have had is behind, what waits for them is ahead (P7)."""
        return self._talk.shown()

    async def connect(self) -> None:
        """
        Begin, and return when the client is open for the first time; however often that takes a new try (S2).

        Messages are handed over from when this returns. Cancelled, it lets the client go on trying: `close` ends that.

        :raises FairleadError: the client was stopped; ``code`` says by what.
        """
        self._talk.begin()
        try:
            await asyncio.shield(self._talk.link.start())
        finally:
            self._talk.delivery.release()

    async def close(self) -> None:
        """Say goodbye, forget what waits to be said, and come back no more; nothing is left running (S3)."""
        self._talk.acks.flush()
        try:
            await self._talk.close(FAREWELL_SECONDS)
        finally:
            await self._questions.close()

    def check(self) -> None:
        """Look at once whether the connection still lives, or try at once (R3)."""
        self._talk.link.check()

    def now(self) -> datetime:
        """The time by the gateway's clock (O5)."""
        return self._talk.link.now()

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- saying ------------------------------------------------------------------------------------

    async def request(
        self,
        action: str,
        fields: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        repeatable: bool | None = None,
    ) -> Frame:
        """
        Do an action, and wait for its reply.

        :param timeout: seconds, waiting for a connection included; None for ``reply_timeout``.
        :param repeatable: whether to say it again where the connection broke before the answer; None for built-in
            actions alone (A2).
        :raises FairleadError: what the gateway answered; or `ClientError` with the code ``timeout``, ``disconnected``,
            ``closed`` or ``too_many``.
        """
        return await self._talk.request(action, fields or {}, timeout, repeatable)

    def send(self, action: str, fields: Mapping[str, Any] | None = None) -> bool:
        """Do an action without waiting; False where it was not said: not open, or the network too slow."""
        return self._talk.send(action, fields or {})

    async def message(
        self,
        to: str,
        content: object,
        *,
        message_type: str = "text",
        metadata: Mapping[str, Any] | None = None,
        message_id: str | None = None,
        timeout: float | None = None,
    ) -> Frame:
        """Say something to a channel such as ``user:43``; stored once, however often the connection breaks."""
        fields = {"to": checked_channel(to), "content": content, "message_type": message_type}
        more = given(metadata=metadata, message_id=message_id)
        return await self.request("message", {**fields, **more}, timeout=timeout)

    async def ack(self, message: Frame) -> Frame:
        """Acknowledge *message*, where that does not happen by itself."""
        fields = {**given(channel=message.get("channel")), "message_ids": [message.get("id")]}
        reply = await self.request("ack", fields)
        self._talk.acks.acknowledged(message)
        return reply

    # -- what there is -----------------------------------------------------------------------------

    def session(self, id: str) -> Session:
        """A conversation; the same object for the same id, as long as somebody has it."""
        return self._sessions.setdefault(id, Session(self._talk, id))

    def task(self, id: str) -> Task:
        """Something that a backend does."""
        return self._tasks.setdefault(id, Task(self._talk, id))

    def instance(self, name: str) -> Instance:
        """A named document that everybody changes."""
        return self._instances.setdefault(name, Instance(self._talk, name))

    # -- hearing -----------------------------------------------------------------------------------

    async def subscribe(self, *channels: str) -> Frame:
        """Hear *channels*, also after coming back."""
        recover = self._talk.positions.recover(channels)
        return await self.request("subscribe", {"channels": list(channels), **given(recover=recover or None)})

    async def unsubscribe(self, *channels: str) -> None:
        """Hear *channels* no more."""
        await self._talk.leave("unsubscribe", {"channels": list(channels)}, *channels)

    async def history(
        self, channel: str, *, limit: int = PAGE, before: int | None = None, timeout: float | None = None
    ) -> Past:
        """
        What a durable channel that this client hears has said last, or before an offset (C4).

        At most *limit* messages (100), the oldest first. There are older ones where ``more`` says so, and ``before`` is
        what to ask with for these. Handlers are not called, and `positions` stay as they are.
        """
        fields = {"channel": checked_channel(channel), "limit": limit, **given(before=before)}
        return past_in(await self.request("history", fields, timeout=timeout))

    async def presence(self, channel: str) -> list[Frame]:
        """Who is in a channel that this client hears: ``user_id``, ``connections``, ``since``."""
        users: list[Frame] = (await self.request("presence", {"channel": channel}))["users"]
        return users

    @overload
    def on(self, type: str) -> Callable[[Registered], Registered]: ...
    @overload
    def on(self, type: str, handler: MessageHandler) -> Off: ...
    def on(self, type: str, handler: MessageHandler | None = None) -> object:
        """
        Have *handler* called with each message of *type*, or of every type for ``"*"``, in order (M1).

        :returns: what ends it; without a *handler*, a decorator.
        """
        if handler is not None:
            return self._talk.handlers.add(("", type), handler)

        def register(function: Registered) -> Registered:
            self._talk.handlers.add(("", type), function)
            return function

        return register

    def messages(self, *types: str) -> Messages:
        """Messages as they come, of *types* or of all of them: ``async for message in client.messages("tick")``."""
        iterator = Messages(self._talk.delivery, frozenset(types) - {ANY} if ANY not in types else frozenset())
        self._talk.delivery.iterators.add(iterator)
        return iterator

    def on_state(self, handler: Callable[[StateChange], object]) -> Off:
        """Have *handler* told of every change of state (S1)."""
        return self._talk.handlers.add(STATE, handler)

    def on_recovered(self, handler: Callable[[Recovery], object]) -> Off:
        """Have *handler* told, in its place among the messages, whether a channel is whole (P5)."""
        return self._talk.handlers.add(RECOVERED, handler)

    def on_error(self, handler: Callable[[Exception], object]) -> Off:
        """
        Have *handler* told what handlers and token functions raised, and errors that answer nothing.

        Without one, they are logged as errors of ``fairlead.client``.
        """
        return self._talk.handlers.add(ERROR, handler)

    def on_question(self, handler: QuestionHandler) -> Off:
        """Have *handler* show questions; what it returns is the answer (Q1)."""
        return self._questions.on(handler)

    def on_frame(self, handler: Callable[[str, Frame], None]) -> Off:
        """Have *handler*, a plain function, see every frame, ``"in"`` and ``"out"``, without tokens, at once."""
        return self._talk.handlers.add(FRAME, lambda passed: handler(*passed))
