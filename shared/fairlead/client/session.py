"""A conversation among users, as one of them takes part in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from fairlead.client.conversation import Conversation
from fairlead.client.handlers import Handler, Off
from fairlead.client.requests import given, past_in
from fairlead.client.told import Frame
from fairlead.format.past import PAGE, Past
from fairlead.names import channel

SAY_AGAIN_SECONDS: Final = 3.0
"""How often ``typing`` is said at most."""

STOP_SECONDS: Final = 5.0
"""After which silence somebody has stopped typing."""


class Session:
    """Made by `fairlead.Client.session`; the same object for the same id."""

    def __init__(self, talk: Conversation, id: str) -> None:
        self._talk = talk
        self.id = id
        self.channel = channel("session", id)
        self._said_at: float | None = None
        """When ``typing`` was said last; None while nobody types."""
        self._stopping: asyncio.TimerHandle | None = None

    async def join(self) -> Frame:
        """Come in, and stay across reconnections."""
        recover = self._talk.positions.recover([self.channel])
        return await self._talk.request("join_session", {"session_id": self.id, **given(recover=recover or None)})

    async def leave(self) -> None:
        """Go out."""
        self._stop_typing()
        await self._talk.leave("leave_session", {"session_id": self.id}, self.channel)

    async def send(
        self,
        content: object,
        *,
        message_type: str = "text",
        metadata: Mapping[str, Any] | None = None,
        message_id: str | None = None,
        timeout: float | None = None,
    ) -> Frame:
        """
        Say something; the reply has its ``message_id`` and ``offset``.

        It is stored once, however often the connection breaks; the others get it, and the reply stands for our copy.
        """
        self._stop_typing()
        fields = {"session_id": self.id, "content": content, "message_type": message_type}
        more = given(metadata=metadata, message_id=message_id)
        return await self._talk.request("message", {**fields, **more}, timeout)

    def typing(self, is_typing: bool = True) -> None:
        """While somebody types: say it as often as you like (C2)."""
        if not is_typing:
            self._stop_typing()
            return
        loop = asyncio.get_running_loop()
        if self._said_at is None or loop.time() >= self._said_at + SAY_AGAIN_SECONDS:
            self._said_at = loop.time()
            self._say(is_typing=True)
        if self._stopping is not None:
            self._stopping.cancel()
        self._stopping = loop.call_later(STOP_SECONDS, self._stop_typing)

    async def read(self, message_id: str) -> Frame:
        """Tell its sender, and this user's other devices, that a message was read."""
        return await self._talk.request("read", {"session_id": self.id, "message_id": message_id})

    async def history(self, *, limit: int = PAGE, before: int | None = None, timeout: float | None = None) -> Past:
        """What was said here last, or before an offset; as `fairlead.Client.history`."""
        fields = {"channel": self.channel, "limit": limit, **given(before=before)}
        return past_in(await self._talk.request("history", fields, timeout))

    async def members(self) -> list[Frame]:
        """Who is there: ``user_id``, ``connections``, ``since``."""
        users: list[Frame] = (await self._talk.request("presence", {"channel": self.channel}))["users"]
        return users

    def on(self, type: str, handler: Handler) -> Off:
        """Have *handler* called with messages of this session, or that name it, of a type or of all (``"*"``)."""
        return self._talk.handlers.add((self.channel, type), handler)

    def _stop_typing(self) -> None:
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None
        if self._said_at is not None:
            self._said_at = None
            self._say(is_typing=False)

    def _say(self, *, is_typing: bool) -> None:
        self._talk.send("typing", {"session_id": self.id, "is_typing": is_typing})
