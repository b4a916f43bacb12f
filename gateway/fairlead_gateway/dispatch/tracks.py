"""The tracks of this replica: gaps are repaired from the log before anything behind them is passed on (I1, RT-6)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from fairlead.errors import Unavailable
from fairlead.format.position import Position, Span, span
from fairlead.names import kind_of
from fairlead_gateway.dispatch.notices import epoch_changed, logged
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.replays import Ask, Replays
from fairlead_gateway.dispatch.tally import Tally
from fairlead_gateway.dispatch.track import NEXT, Memory, Track, Verdict

Give = Callable[[str, Sequence[Outgoing]], None]
"""Hands messages to the members of a channel here."""

CHECK_SECONDS: Final = 40.0
"""A channel that was quiet for about this long is compared with its log, in case Redis has stopped telling us."""

SLICES: Final = 40
"""Parts of all channels that are looked at one after the other within that time."""

RETRY_SECONDS: Final = 0.3
"""How long after a failure the log is asked again, on average."""

TRIES: Final = 3
"""How often a client's position is tried again when the channel changes its epoch at that moment."""


class Caught(NamedTuple):
    """What somebody who comes (back) to a channel is given before it goes live."""

    position: Position
    """Where the channel stands behind *missed*."""

    recovered: bool | None
    """Whether *missed* is everything since the position that was asked for; None if none was."""

    missed: list[Outgoing]


class Tracks:
    """
    One `Track` for each durable channel that is heard here.

    :param give: called with what comes next in a channel, and with the notice when its history has a break.
    :param durable: kinds of channel that have a log.
    :param memory_bytes: how much of what was said last is remembered, and *memory_messages* of one channel.
    """

    def __init__(self, ask: Ask, give: Give, durable: Collection[str], memory_bytes: int, memory_messages: int) -> None:
        self._ask_log = ask
        self._give = give
        self._durable = frozenset(durable)
        self._tracks: dict[str, Track] = {}
        self._memory = Memory(self._tracks, memory_bytes, memory_messages)
        self._standing: dict[Track, list[asyncio.Future[None]]] = {}
        self._replays = Replays(ask)
        self._stalled: set[Track] = set()
        self.tally = Tally()

    def get(self, channel: str) -> Track | None:
        """The track of *channel*; None on ephemeral channels and those not heard."""
        return self._tracks.get(channel)

    def open(self, channel: str) -> None:
        """*channel* is about to be heard."""
        if channel not in self._tracks and kind_of(channel) in self._durable:
            self._tracks[channel] = Track(channel)

    def drop(self, channel: str) -> None:
        """*channel* is not heard any more."""
        track = self._tracks.pop(channel, None)
        if track is not None:
            self._fail(track, Unavailable(f"{channel} is not heard any more; try again"))

    # -- what Redis publishes ----------------------------------------------------------------------

    def take(self, track: Track, message: Outgoing) -> bool:
        """Whether *message* comes next and is to be passed on now; what lies behind a gap waits for its repair."""
        verdict = track.take(message)
        if verdict is NEXT:
            self._memory.remember(track, message)
            return True
        if verdict is Verdict.KEPT:
            track.keep(message)
            self._doubt(track)
        return False

    def doubt(self, channel: str) -> None:
        """Something may have been missed in *channel* until now: pass on nothing before its log has been asked."""
        track = self._tracks.get(channel)
        if track is not None and (track.epoch or track.is_asking):
            track.is_stale = track.is_asking
            self._doubt(track)

    # -- who comes in --------------------------------------------------------------------------------

    def prepare(self, channel: str, since: Position | None) -> None:
        """Ask the log now for what `catch_up` will need, so that many channels take one round trip."""
        track = self._tracks.get(channel)
        if track is None:
            return
        if not track.is_sure:
            self._ask(track, track.position or since)
        elif since is not None and track.since(since) is None:
            self._replays.since(channel, since)

    async def catch_up(self, channel: str, since: Position | None) -> Caught:
        """
        Where the durable *channel* stands, and what was said in it after *since*: all of that, or nothing.

        To be called once Redis has confirmed the channel. What the channel says after the answer is in `rest`.

        :raises Unavailable: Redis cannot be reached.
        """
        track = await self._stand(channel, since)
        if since is None:
            return Caught(_standing(track), None, [])
        for _ in range(TRIES):
            if (missed := track.since(since)) is not None:
                return Caught(_standing(track), True, missed)
            found = await asyncio.shield(self._replays.since(channel, since))
            track = await self._stand(channel, None)
            if found is None:
                break
            messages = [logged(channel, entry, found.top.epoch) for entry in found.entries]
            if track.epoch == found.top.epoch:
                self._pass_on(track, messages)
            if (later := track.since(found.top)) is not None:
                return Caught(_standing(track), True, messages + later)
            self.doubt(channel)
            track = await self._stand(channel, None)
        return Caught(_standing(track), False, [])

    def rest(self, channel: str, caught: Caught) -> list[Outgoing]:
        """
        What *channel* has said since `catch_up` answered *caught*.

        To be called in the same turn of the loop in which the client becomes a member. Should the history have broken
        meanwhile, it is the notice of that.
        """
        track = self._tracks.get(channel)
        if track is None:
            return []
        later = track.since(caught.position)
        return [epoch_changed(track, recovered=False)] if later is None else later

    # -- the log -------------------------------------------------------------------------------------

    async def run_checks(self) -> None:
        """Compare quiet channels with their logs, a few each moment, until cancelled."""
        while True:
            tracks = list(self._tracks.values())
            size = -(-len(tracks) // SLICES)
            for number in range(SLICES):
                await asyncio.sleep(CHECK_SECONDS / SLICES * random.uniform(0.8, 1.2))
                for track in tracks[number * size : (number + 1) * size]:
                    self._visit(track)

    def _visit(self, track: Track) -> None:
        is_quiet, track.visited_at = track.visited_at == track.offset, track.offset
        if is_quiet and track.is_sure and self._is_current(track):
            self._ask(track, track.position)

    def _doubt(self, track: Track) -> None:
        track.is_sure = False
        self._ask(track, track.position)

    def _ask(self, track: Track, since: Position | None) -> None:
        if track.is_asking or track in self._stalled:
            return
        track.is_asking = True
        track.asked_pending = len(track.pending)
        self._ask_log(track.channel, since).add_done_callback(partial(self._answered, track, since))

    def _answered(self, track: Track, asked: Position | None, reply: asyncio.Future[Any]) -> None:
        track.is_asking = False
        if reply.cancelled() or not self._is_current(track):
            return
        if isinstance(error := reply.exception(), Exception):
            self._stall(track, error)
            return
        if track.epoch and track.position != asked:
            # A check of a track that has gone on by itself.
            if not track.is_sure:
                self._ask(track, track.position)
            return
        self._settle(track, asked, span(reply.result()))

    def _settle(self, track: Track, asked: Position | None, found: Span) -> None:
        """Bring *track* up to what the log says, and pass on what was kept meanwhile."""
        is_new = not track.epoch
        if is_new:
            # Where nothing was missed the log knows the position better than who claims it: with the message's id.
            track.jump(asked if asked is not None and found.entries else found.top)
        elif not found.is_proven:
            track.jump(found.top)
            self.tally.count(broken=1)
            self._give(track.channel, [epoch_changed(track, recovered=False)])
        if track.epoch != found.top.epoch:
            track.epoch = found.top.epoch
            self._give(track.channel, [epoch_changed(track, recovered=True)])
        track.is_sure = True
        if found.is_proven:
            messages = [logged(track.channel, entry, track.epoch) for entry in found.entries]
            passed_on = self._pass_on(track, messages)
            self.tally.count(repaired=0 if is_new else passed_on)
        if track.is_stale or (found.is_proven and not found.is_whole):
            track.is_stale = False
            self._doubt(track)
            return
        passed = track.take_pending()
        for message in passed:
            self._memory.remember(track, message)
        self._give(track.channel, passed)
        if not track.is_sure:
            self._ask(track, track.position)
            return
        for standing in self._standing.pop(track, ()):
            if not standing.done():
                standing.set_result(None)

    def _pass_on(self, track: Track, messages: Sequence[Outgoing]) -> int:
        """Give the members those of *messages*, read from the log, that come next; how many there were."""
        fresh = [message for message in messages if track.take(message) is NEXT]
        for message in fresh:
            self._memory.remember(track, message)
        self._give(track.channel, fresh)
        return len(fresh)

    def _stall(self, track: Track, error: Exception) -> None:
        """Redis did not answer: whoever waits is told, and whoever is in doubt asks again, all together."""
        self._fail(track, error)
        if track.is_sure or not track.epoch:
            return
        if not self._stalled:
            loop = asyncio.get_running_loop()
            loop.call_later(RETRY_SECONDS * random.uniform(0.5, 1.5), self._go_on)
        self._stalled.add(track)

    def _go_on(self) -> None:
        stalled, self._stalled = self._stalled, set()
        for track in stalled:
            if self._is_current(track):
                self._ask(track, track.position)

    # -- inside ----------------------------------------------------------------------------------------

    def _is_current(self, track: Track) -> bool:
        return self._tracks.get(track.channel) is track

    async def _stand(self, channel: str, since: Position | None) -> Track:
        """The track of *channel*, sure of its position; a new one begins at *since* if the log goes on from there."""
        track = self._tracks.get(channel)
        if track is None:
            raise Unavailable(f"{channel} is not heard any more; try again")
        if track.is_sure:
            return track
        standing = asyncio.get_running_loop().create_future()
        self._standing.setdefault(track, []).append(standing)
        self._ask(track, track.position or since)
        await standing
        return track

    def _fail(self, track: Track, error: Exception) -> None:
        for standing in self._standing.pop(track, ()):
            if not standing.done():
                standing.set_exception(error)


def _standing(track: Track) -> Position:
    return Position(track.offset, track.epoch, track.last_id)
