"""The overseer: one replica of the fleet at a time that looks at all of them each second, and tells who watches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from fairlead_gateway.admin.overview import Overview

BEAT_SECONDS: Final = 1.0

Watcher: TypeAlias = Callable[[Overview], Awaitable[None]]
"""Called each second on the replica that oversees; what it raises as `FairleadError` is logged, and it is called again."""


class Overseer:
    """
    Sums the statistics of all replicas, keeps their history and publishes them on the channel of the admins.

    ``Overseer.watchers`` is a list: append to it before the start.
    """

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
