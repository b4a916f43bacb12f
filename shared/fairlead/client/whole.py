"""Whether channels are whole: what the application is told of it, and what is asked where they are not (P3, P5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from fairlead.client.positions import Positions
from fairlead.client.requests import Request, given
from fairlead.client.told import Frame, Recovery
from fairlead.errors import FairleadError, Forbidden
from fairlead.names import id_of, kind_of

MAX_NAMED: Final = 100
"""Channels that one frame may name."""

_ASKABLE: Final = frozenset({"user", "session", "instance", "topic", "task", "device"})
"""Kinds of channel in which a hole can be asked for; elsewhere a client comes back for what is missing."""


class Ask(Protocol):
    """How something is asked: `fairlead.client.conversation.Conversation.ask`."""

    def __call__(self, action: str, fields: Mapping[str, Any], *, repeatable: bool | None = None) -> Request: ...


class Whole:
    """
    The channels of a client, from one greeting to the next.

    :param come_back: opens another connection, which recovers everything.
    :param tell: shows whether a channel is whole, in its place among the messages.
    """

    def __init__(
        self, positions: Positions, ask: Ask, come_back: Callable[[], None], tell: Callable[[Recovery], None]
    ) -> None:
        self._positions = positions
        self._ask = ask
        self._come_back = come_back
        self._tell = tell

    def recover(self) -> dict[str, dict[str, Any]]:
        """What to come back to in the first frame of a connection."""
        return dict(list(self._positions.recover().items())[:MAX_NAMED])

    def beyond(self) -> list[str]:
        """The channels that the first frame has no room for."""
        return list(self._positions.recover())[MAX_NAMED:]

    def told(self, channels: Mapping[str, Mapping[str, Any]]) -> None:
        """What a greeting or a reply says about *channels*."""
        for recovery in self._positions.told(channels):
            self._tell(recovery)

    def changed(self, frame: Frame) -> None:
        """``epoch_changed``."""
        self._tell(self._positions.changed(frame))

    def lost(self, channels: list[str]) -> None:
        """These are heard no more: one may not."""
        self._positions.forget(channels)
        for channel in channels:
            self._tell(Recovery(channel, recovered=False, code=Forbidden.code))

    def hear_again(self, channels: list[str]) -> None:
        """Ask for *channels*, as many together as may be, as far as they are allowed still."""
        for start in range(0, len(channels), MAX_NAMED):
            names = channels[start : start + MAX_NAMED]
            recover = self._positions.recover(names)
            self._then("subscribe", {"channels": names, **given(recover=recover or None)}, partial(self._heard, names))

    def mend(self, channel: str) -> None:
        """Ask, once, for what is missing in *channel*; without an answer, coming back tells."""
        if channel in self._positions.mending:
            return
        self._positions.mending.add(channel)
        recover = self._positions.recover([channel])
        if kind_of(channel) not in _ASKABLE or not recover:
            self._come_back()
        elif kind_of(channel) == "session":
            fields = {"session_id": id_of(channel), "recover": recover}
            self._then("join_session", fields, partial(self._mended, channel))
        else:
            self._then("subscribe", {"channels": [channel], "recover": recover}, partial(self._mended, channel))

    def _then(self, action: str, fields: Mapping[str, Any], look: Callable[[BaseException | None], None]) -> None:
        """Ask, and look at what went wrong, if anything did; the reply itself was looked at when it came."""

        def done(answer: asyncio.Future[Frame]) -> None:
            if not answer.cancelled():
                look(answer.exception())

        try:
            future = self._ask(action, fields, repeatable=False).answer
        except FairleadError as error:
            look(error)
        else:
            future.add_done_callback(done)

    def _mended(self, channel: str, error: BaseException | None) -> None:
        if error is not None and channel in self._positions.mending:
            self._come_back()

    def _heard(self, names: list[str], error: BaseException | None) -> None:
        if isinstance(error, Forbidden) and (denied := set(names).intersection(error.detail.get("channels", ()))):
            self.lost(sorted(denied))
            self.hear_again([name for name in names if name not in denied])
        elif isinstance(error, FairleadError) and error.code not in ("closed", "disconnected"):
            self._come_back()
