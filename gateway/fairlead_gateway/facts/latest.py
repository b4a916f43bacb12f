"""The latest: the message that stands for the state of a channel, told first to whoever begins to hear it (ST-3)."""

from __future__ import annotations

from fairlead.names import Names
from fairlead.state.devices import state_frame
from fairlead_gateway.facts.lane import Lane


class Latest:
    """Reads what was kept of channels."""

    def __init__(self, lane: Lane, names: Names) -> None:
        self._lane = lane
        self._names = names

    async def tell(self, channel: str) -> bytes:
        """
        The JSON frame of the last message that *channel* was given to keep; empty where there is none.

        :raises Unavailable: Redis cannot be reached.
        """
        return state_frame(await self._lane.call("GET", self._names.latest(channel)))
