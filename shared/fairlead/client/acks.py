"""What is acknowledged, several together, and what has come again (M2)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from fairlead.client.told import Frame

TOGETHER_SECONDS: Final = 0.02
"""How long the first of some acknowledgements waits for others."""

MAX_TOGETHER: Final = 100
"""As many as one frame may carry."""

REMEMBERED: Final = 10_000
"""Messages that are known to have come, so that a copy is shown to nobody."""


class Acks:
    """:param ask: says ``ack`` for ids of a channel, also after coming back."""

    def __init__(self, ask: Callable[[str, list[str]], None], *, automatic: bool) -> None:
        self._ask = ask
        self._automatic = automatic
        self._seen: OrderedDict[tuple[str, str], bool] = OrderedDict()
        """Whether it has been acknowledged, by channel and id."""
        self._pending: dict[str, dict[str, None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def is_copy(self, frame: Frame) -> bool:
        """Whether *frame*, which wants to be acknowledged, has come before; then it is acknowledged as that was."""
        key = _key(frame)
        if key not in self._seen:
            self._seen[key] = False
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return False
        if self._seen[key]:
            self._add(*key)
        return True

    def handled(self, frame: Frame, fine: bool) -> None:
        """All handlers have seen it; where one failed, or there are none, a copy may be shown again."""
        if not fine:
            self._seen.pop(_key(frame), None)
        elif self._automatic:
            self.acknowledged(frame)
            self._add(*_key(frame))

    def acknowledged(self, frame: Frame) -> None:
        """It was, or is about to be."""
        self._seen[_key(frame)] = True

    def flush(self) -> None:
        """Say what waits to be said."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, {}
        for channel, ids in pending.items():
            self._ask(channel, list(ids))

    def _add(self, channel: str, id: str) -> None:
        ids = self._pending.setdefault(channel, {})
        ids[id] = None
        if len(ids) >= MAX_TOGETHER:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self.flush)


def _key(frame: Frame) -> tuple[str, str]:
    return str(frame.get("channel", "")), str(frame.get("id", ""))
