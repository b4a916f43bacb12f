"""A client of one instance that follows the rules of the protocol through reconnections, and counts what it needed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fairlead.state.patches import apply, checked
from tests.support.replica import Replica, token

Frame = dict[str, Any]

LATE_SECONDS = 10.0
"""A replica that has not answered by then is given up."""


class Watcher:
    """
    What one browser knows of the document.

    A snapshot is taken as it is. Of patches the next is applied, one that is already in is dropped, and the first of
    all begins with an empty document. Whoever sees a gap, or hears that the history has a break, asks for the state,
    keeps what comes meanwhile, and goes on with that behind the answer.
    """

    def __init__(self, fleet: Sequence[Replica], instance: str, number: int) -> None:
        self._fleet = fleet
        self._channel = f"instance:{instance}"
        self._path = f"/ws/instance/{instance}?wait=connect"
        self._number = number
        self._socket: ClientConnection | None = None
        self._position: Frame = {}
        self._kept: list[Frame] = []
        self._is_asking = False
        self.version = -1
        self.document: Any = None
        self.openings = 0
        self.patches = 0
        self.snapshots = 0
        """That came by themselves: because it was new, or had missed too much."""
        self.questions = 0
        """How often it had to ask for the state, because something was missing or the history had a break."""

    async def run(self) -> None:
        """Watch until cancelled, through whichever replica lets it in."""
        for number in count(self._number):
            replica = self._fleet[number % len(self._fleet)]
            with suppress(OSError, ConnectionClosed, TimeoutError):
                await self._watch(f"ws://{replica.host}:{replica.port}{self._path}")
            await asyncio.sleep(random.uniform(0.05, 0.3))

    async def _watch(self, url: str) -> None:
        async with connect(
            url, ping_interval=None, max_size=None, compression=None, open_timeout=LATE_SECONDS
        ) as socket:
            self._socket, self._is_asking, self._kept = socket, False, []
            recover = {self._channel: self._position} if self._position else {}
            await self._say("connect", token=token(f"watcher-{self._number}"), recover=recover)
            async for text in socket:
                await self._take(json.loads(text))

    async def _take(self, frame: Frame) -> None:
        if frame.get("ref") == "state":
            await self._answered(frame)
        elif frame["type"] == "connection_established":
            self._begin(frame["channels"][self._channel])
        elif frame.get("channel") != self._channel:
            return
        elif frame["type"] == "epoch_changed":
            self._position["epoch"] = frame["epoch"]
            if not frame["recovered"]:
                self._position = {"offset": frame["offset"], "epoch": frame["epoch"]}
                await self._ask()
        elif "offset" not in frame:
            await self._follow(frame)
        elif frame["offset"] > self._position["offset"]:
            self._position |= {"offset": frame["offset"], "id": frame["id"]}
            await self._follow(frame)

    def _begin(self, told: Frame) -> None:
        self.openings += 1
        if told.get("recovered"):
            self._position["epoch"] = told["epoch"]
        else:
            self._position = {"offset": told["offset"], "epoch": told["epoch"]}

    async def _follow(self, frame: Frame) -> None:
        if self._is_asking:
            self._kept.append(frame)
        elif frame["type"] == "snapshot":
            self.snapshots += 1
            self._load(frame)
        elif frame["version"] in (1, self.version + 1):
            self.patches += 1
            document = self.document if frame["version"] > 1 else {}
            self.document = apply(document, checked(frame["patch"], frame.get("unset", ())))
            self.version = frame["version"]
        elif frame["version"] > self.version:
            await self._ask()
            self._kept.append(frame)

    async def _ask(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            self.questions += 1
            await self._say("get_state", id="state", channel=self._channel)

    async def _answered(self, frame: Frame) -> None:
        self._is_asking = False
        if frame["type"] == "error":
            await asyncio.sleep(0.1)
            await self._ask()
            return
        self._load(frame)
        kept, self._kept = self._kept, []
        for patch in kept:
            await self._follow(patch)

    def _load(self, frame: Mapping[str, Any]) -> None:
        self.version, self.document = frame["version"], frame["document"]

    async def _say(self, action: str, **fields: Any) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps({"action": action, **fields}))
