"""Something that a backend does, as somebody watches it."""

from __future__ import annotations

from typing import Final

from fairlead.client.conversation import Conversation
from fairlead.client.handlers import Handler, Off
from fairlead.client.told import Frame, Recovery
from fairlead.errors import FairleadError
from fairlead.state.tasks import task_channel

_STATES: Final = ("task_update", "task_cancelled")


class Task:
    """Made by `fairlead.Client.task`; the same object for the same id."""

    takes = False

    def __init__(self, talk: Conversation, id: str) -> None:
        self._talk = talk
        self.id = id
        self.channel = task_channel(id)
        self.state: Frame | None = None
        """The latest; None before the first."""

    async def watch(self) -> Frame:
        """Hear of it from now on, also after coming back; `state` is known when this returns, if there is any."""
        self._talk.mirrors[self.channel] = self
        reply = await self._talk.request("subscribe_task", {"task_id": self.id})
        if isinstance(state := reply.get("task"), dict):
            self._learn(state)
        return reply

    async def unwatch(self) -> None:
        """Hear of it no more."""
        self._talk.mirrors.pop(self.channel, None)
        await self._talk.leave("unsubscribe_task", {"task_id": self.id}, self.channel)

    async def cancel(self) -> Frame:
        """End it, where one may."""
        return await self._talk.request("cancel", {"task_id": self.id})

    def on(self, type: str, handler: Handler) -> Off:
        """Have *handler* told: ``task_update``, ``task_stalled``, ``task_cancelled``, or ``"*"`` for all of it."""
        self._talk.mirrors[self.channel] = self
        return self._talk.handlers.add((self.channel, type), handler)

    # -- Mirror ------------------------------------------------------------------------------------

    def heard(self, frame: Frame) -> bool:
        return frame.get("type") not in _STATES or self._learn(frame)

    def opened(self) -> None:
        """What was missed comes by itself."""

    def recovered(self, recovery: Recovery) -> None:
        """As before: a state is whole."""

    def stopped(self, error: FairleadError) -> None:
        """It is known as far as it was."""

    def _learn(self, frame: Frame) -> bool:
        """Keep *frame* as the state, unless it is an earlier one (C3)."""
        if self.state is not None and _version(frame) < _version(self.state):
            return False
        self.state = frame
        return True


def _version(frame: Frame) -> int:
    version = frame.get("version")
    return version if isinstance(version, int) else 0
