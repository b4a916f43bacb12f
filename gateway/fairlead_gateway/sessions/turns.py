"""Long work beside everybody else's: however much of it there is, the loop does one piece of it at a time."""

from __future__ import annotations

import asyncio


class Turns:
    """
    Where long work pauses.

    A thousand works that each gave way by themselves would all go on in the next turn of the loop, and hold it up for a
    thousand pieces. Here they stand in a row.
    """

    def __init__(self) -> None:
        self._last: asyncio.Future[None] | None = None

    async def next(self) -> None:
        """Return when everybody else had a turn, and all that came here before went on."""
        before, mine = self._last, asyncio.get_running_loop().create_future()
        self._last = mine
        try:
            if before is not None and not before.done():
                await asyncio.shield(before)
            await asyncio.sleep(0)
        finally:
            mine.set_result(None)
