"""A mirror of a named document that everybody changes (I1, I2)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from fairlead.client.conversation import Conversation
from fairlead.client.delivery import Item
from fairlead.client.handlers import Off
from fairlead.client.requests import given
from fairlead.client.told import Frame, Recovery
from fairlead.errors import ClientError, FairleadError, InvalidMessage, error_of
from fairlead.names import channel
from fairlead.state.patches import applied, checked

SNAPSHOT_SECONDS: Final = 0.5
"""How long the document, which mostly comes by itself, is waited for before it is asked for."""

RETRY_SECONDS: Final = 1.0

MAX_KEPT: Final = 1_000
"""Patches that are kept while the document is on its way; with fewer than came it is asked for again."""


class InstanceChange(NamedTuple):
    """A change of the document, in its place among the others."""

    patch: Mapping[str, Any] | None
    """None where the document was taken as a whole."""
    unset: tuple[str, ...]
    patch_id: str | int | None
    version: int
    document: dict[str, Any]


class Instance:
    """Made by `fairlead.Client.instance`; the same object for the same name."""

    takes = True

    def __init__(self, talk: Conversation, name: str) -> None:
        self._talk = talk
        self.name = name
        self.channel = channel("instance", name)
        self.document: dict[str, Any] = {}
        """To be read: replaced with each change, never changed in place."""
        self.version = 0
        self._is_whole = False
        """Whether the document is that of the version."""
        self._loading: asyncio.Future[Frame] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._kept: deque[Frame] = deque(maxlen=MAX_KEPT)
        self._here: asyncio.Future[None] | None = None
        """Done when the document has come since `open`; None while it is not followed."""

    async def open(self) -> None:
        """
        Begin to follow; returns when the document is here.

        :raises FairleadError: one may not, or the client has ended.
        """
        if self._here is None:
            self._here = here = asyncio.get_running_loop().create_future()
            self._talk.mirrors[self.channel] = self
            try:
                await self._talk.request("subscribe", {"channels": [self.channel]})
            except BaseException as error:
                if self._here is here:
                    self._fail(error if isinstance(error, FairleadError) else ClientError("closed", "given up"))
                raise
            self._expect()
        if self._here is not None:
            await asyncio.shield(self._here)

    async def close(self) -> None:
        """Follow no more; the document stays as it is."""
        self._fail(ClientError("closed", f"{self.channel} is followed no more"))
        await self._talk.leave("unsubscribe", {"channels": [self.channel]}, self.channel)

    async def patch(
        self,
        patch: Mapping[str, object],
        *,
        unset: Iterable[str] = (),
        base_version: int | None = None,
        patch_id: str | int | None = None,
        timeout: float | None = None,
    ) -> Frame:
        """
        Change it; what it comes to is heard like the patches of others.

        :raises Conflict: *base_version* is not the latest; the detail has the ``version`` and what was missed.
        """
        more = given(unset=list(unset) or None, base_version=base_version, patch_id=patch_id)
        return await self._talk.request("patch", {"instance": self.name, "patch": patch, **more}, timeout)

    def on_change(self, handler: Callable[[InstanceChange], object]) -> Off:
        """Have *handler* told of each change."""
        return self._talk.handlers.add((self.channel, ":change"), handler)

    # -- Mirror ------------------------------------------------------------------------------------

    def heard(self, frame: Frame) -> bool:
        if frame.get("type") == "snapshot":
            self._take(frame)
        elif frame.get("type") == "patch":
            self._follow(frame)
        return True

    def opened(self) -> None:
        """What was missed comes by itself, or `recovered` tells."""

    def recovered(self, recovery: Recovery) -> None:
        if recovery.code:
            self._fail(error_of(recovery.code, f"you may not hear {self.channel} any more", {}))
            return
        if not recovery.recovered:
            self._is_whole = False
        if not self._is_whole:
            self._expect()

    def stopped(self, error: FairleadError) -> None:
        if self._here is not None and not self._here.done():
            self._fail(error)

    # -- following ---------------------------------------------------------------------------------

    def _follow(self, frame: Frame) -> None:
        version = int(frame.get("version", 0))
        # Version 1 of something that has many is that of a document that began anew.
        is_hole = version > self.version + 1 or (version == 1 and self.version > 1)
        if not self._is_whole or is_hole:
            self._kept.append(frame)
            if self._is_whole:
                self._load()
        elif version == self.version + 1:
            self._apply(frame, version)

    def _apply(self, frame: Frame, version: int) -> None:
        patch, unset = frame.get("patch") or {}, tuple(frame.get("unset") or ())
        try:
            document = applied(self.document, checked(patch, unset))
        except InvalidMessage as error:
            self._talk.failed(error)
            self._load()
            return
        self._change(InstanceChange(patch, unset, frame.get("patch_id"), version, document))

    def _take(self, state: Frame) -> None:
        """The document as a whole, and what came beyond it meanwhile."""
        version, document = int(state.get("version", 0)), state.get("document")
        self._is_whole = True
        kept = [frame for frame in self._kept if int(frame.get("version", 0)) > version]
        self._kept.clear()
        self._change(InstanceChange(None, (), None, version, document if isinstance(document, dict) else {}))
        for frame in kept:
            self._follow(frame)
        if self._here is not None and not self._here.done():
            self._here.set_result(None)

    def _change(self, change: InstanceChange) -> None:
        self.document, self.version = change.document, change.version
        self._talk.delivery.put(Item(change, self._talk.hearers((self.channel, ":change"))))

    def _expect(self) -> None:
        """Ask for the document, should it not come by itself."""
        self._later(SNAPSHOT_SECONDS)

    def _later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._load_unless_whole)

    def _load_unless_whole(self) -> None:
        if self._here is not None and not self._is_whole:
            self._load()

    def _load(self) -> None:
        """Ask for the whole of it; patches that come meanwhile are kept."""
        self._is_whole = False
        if self._loading is None:
            try:
                self._loading = self._talk.ask("get_state", {"channel": self.channel}).answer
            except FairleadError as error:
                self._talk.failed(error)
                self._later(RETRY_SECONDS)
            else:
                self._loading.add_done_callback(self._loaded)

    def _loaded(self, answer: asyncio.Future[Frame]) -> None:
        self._loading = None
        error = None if answer.cancelled() else answer.exception()
        if self._here is None or answer.cancelled():
            return
        if error is None:
            state = answer.result()
            if not self._is_whole or int(state.get("version", 0)) > self.version:
                self._take(state)
        elif getattr(error, "code", "") != "closed":
            self._talk.failed(error if isinstance(error, Exception) else RuntimeError(str(error)))
            self._later(RETRY_SECONDS)

    def _fail(self, error: FairleadError) -> None:
        """Follow no more; who waits for the document is told *error*."""
        here, self._here = self._here, None
        self._talk.mirrors.pop(self.channel, None)
        if self._timer is not None:
            self._timer.cancel()
        self._is_whole = False
        self._kept.clear()
        if here is not None and not here.done():
            here.set_exception(error)
            # Whoever waited may have gone.
            here.exception()
