"""Consumer groups: what one consumer of a stream asks Redis next, and what it makes of the answers; without I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import ResponseError

from fairlead.redis.scripts import Script, load

if TYPE_CHECKING:
    from fairlead.redis.connection import Command
    from fairlead.redis.greeting import Greeting

ANSWER_SECONDS: Final = 5.0
"""How much later than the entries that it waits for an answer may come before the connection is taken for dead."""

QUICK_SECONDS: Final = 1.0
"""Who works off what it was given within this time is given twice as much; who does not, one entry at a time."""

_OWED: Final = load("owed")
_FORGET: Final = load("forget")


class Pace(NamedTuple):
    """When a consumer does what."""

    block_ms: int = 2000
    """How long Redis holds an answer back until there are entries."""
    look_seconds: float = 5.0
    """How often to look after consumers that are gone."""
    idle_ms: int = 10_000
    """An entry that its consumer has not acknowledged for so long goes to another one."""
    forget_ms: int = 3_600_000
    """A consumer that got nothing in this time, and owes nothing, is removed; should it live, it comes back."""
    least: int = 1
    """Entries that are taken at once to begin with."""
    most: int = 64
    """Entries that are taken at once at most."""


class Entry(NamedTuple):
    """What somebody wrote to the stream."""

    id: str
    fields: Mapping[bytes, bytes] | None
    """None when it was deleted, or trimmed away, before it was acknowledged."""
    deliveries: int
    """How often it was given to a consumer before; more than 0 when one of them died, or was slow, or failed."""


class _Phase(Enum):
    OWN = "what this consumer left undone"
    FORM = "the group, which is not there"
    IDLE = "what others left undone"
    FORGET = "consumers that are gone for good"
    NEW = "what is new"


class Share:
    """
    One consumer's share of a stream, which a group works off together.

    Asked in turn: first what this consumer left undone when it last ended, then what is new, and now and then what
    others left undone. After a failure it begins with the first, since Redis may have given what never arrived.

    :param consumer: unlike that of every other process; what comes back under the same name goes on where it was.
    :param from_start: whether a group that is new begins with what the stream holds; otherwise with what comes next.
    """

    def __init__(
        self, stream: str, group: str, consumer: str, *, from_start: bool = False, pace: Pace | None = None
    ) -> None:
        self.stream = stream
        self.group = group
        self.pace = pace or Pace()
        self._consumer = consumer
        self._begins_at = "0" if from_start else "$"
        self._phase = self._asked = _Phase.OWN
        self._own_from = "-"
        self._looked_at = -inf
        self._size = self.pace.least
        self._waiting: deque[Entry] = deque()
        self._taken_at = -inf
        self._done: list[str] = []
        """Entries that are to be acknowledged."""
        self._told: list[str] = []
        """Entries whose acknowledgement was written, but not confirmed."""

    # -- what it was given -----------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether everything that was taken has been given out."""
        return not self._waiting

    @property
    def has_waited(self) -> bool:
        """Whether the latest question was for what is new, so that there was nothing else to do."""
        return self._asked is _Phase.NEW

    def next(self, now: float) -> Entry | None:
        """
        The next entry to work on; None when Redis must be asked. It counts as taken until `drop`.

        What has waited here for half the time that makes it somebody else's is asked for again, and may be gone.
        """
        if self._waiting and now - self._taken_at > self.pace.idle_ms / 2000:
            self.lost()
        return self._waiting[0] if self._waiting else None

    def drop(self) -> None:
        """The entry that `next` gave is in good hands."""
        self._waiting.popleft()

    def done(self, entry_id: str) -> None:
        """It is finished, and will be acknowledged."""
        self._done.append(entry_id)

    def lost(self) -> None:
        """The connection has ended, or something else went wrong: what was taken must be asked for again."""
        self._waiting.clear()
        self._done = self._told + self._done
        self._told = []
        self._phase, self._own_from = _Phase.OWN, "-"

    # -- what to ask -----------------------------------------------------------------------------

    def formation(self) -> Command:
        """The command that forms the group; refused with ``BUSYGROUP`` where it is there."""
        return ("XGROUP", "CREATE", self.stream, self.group, self._begins_at, "MKSTREAM")

    def acknowledgements(self) -> list[Command]:
        """What to write before anything else; at most one command."""
        if not self._done:
            return []
        command: Command = ("XACK", self.stream, self.group, *self._done)
        self._told += self._done
        self._done = []
        return [command]

    def question(self, greeting: Greeting, now: float) -> Command:
        """What to ask now; everything that was taken has been given out, and acknowledged if it is done."""
        self._size = self._next_size(now)
        self._asked = self._phase
        match self._phase:
            case _Phase.OWN:
                return self._script(greeting, _OWED, self._consumer, "own", self._own_from, self._size)
            case _Phase.FORM:
                return self.formation()
            case _Phase.IDLE:
                return self._script(greeting, _OWED, self._consumer, "idle", self.pace.idle_ms, self._size)
            case _Phase.FORGET:
                return self._script(greeting, _FORGET, self.pace.forget_ms)
            case _Phase.NEW:
                count = ("COUNT", self._size, "BLOCK", self.pace.block_ms)
                return ("XREADGROUP", "GROUP", self.group, self._consumer, *count, "STREAMS", self.stream, ">")

    def hear(self, reply: Any, now: float) -> None:
        """
        Take the answer to `question`; everything written before it has been answered as well.

        :raises ResponseError: Redis refuses, and not for want of a group.
        """
        self._told = []
        if isinstance(reply, ResponseError):
            self._refused(reply)
            return
        match self._phase:
            case _Phase.OWN:
                self._take([_given_again(one) for one in reply], now)
                if self._waiting:
                    self._own_from = f"({self._waiting[-1].id}"
                else:
                    self._phase = _Phase.IDLE if self._is_time_to_look(now) else _Phase.NEW
                # Whoever loses the group from now on has lost the stream as well: all that is in it then is new.
                self._begins_at = "0"
            case _Phase.FORM:
                self._phase = _Phase.OWN
            case _Phase.IDLE:
                self._take([_given_again(one) for one in reply], now)
                if not self._waiting:
                    self._looked_at, self._phase = now, _Phase.FORGET
            case _Phase.FORGET:
                self._phase = _Phase.NEW
            case _Phase.NEW:
                self._take(_new(reply), now)
                if self._is_time_to_look(now):
                    self._phase = _Phase.IDLE

    # -- inside ----------------------------------------------------------------------------------

    def _refused(self, error: ResponseError) -> None:
        word = str(error).partition(" ")[0]
        if word == "NOGROUP":
            self._phase = _Phase.FORM
        elif word == "UNBLOCKED":  # somebody deleted the stream, or the server is no longer the master
            self._phase, self._own_from = _Phase.OWN, "-"
        elif word == "BUSYGROUP" and self._phase is _Phase.FORM:
            self._phase = _Phase.OWN
        else:
            raise error

    def _take(self, entries: list[Entry], now: float) -> None:
        if entries:
            self._waiting.extend(entries)
            self._taken_at = now

    def _next_size(self, now: float) -> int:
        """Nothing waits: how much to take depends on how long the latest took."""
        is_quick = now - self._taken_at < QUICK_SECONDS
        return min(2 * self._size, self.pace.most) if is_quick else self.pace.least

    def _is_time_to_look(self, now: float) -> bool:
        return now - self._looked_at > self.pace.look_seconds

    def _script(self, greeting: Greeting, script: Script, *args: str | int) -> Command:
        """By its text, since it is asked for seldom."""
        return ("EVAL", greeting.text(script).source, 1, self.stream, self.group, *args)


def _given_again(one: Sequence[Any]) -> Entry:
    """From what ``owed.lua`` says of one entry."""
    id_, deliveries, *fields = one
    return Entry(_text(id_), _map(fields[0]) if fields and fields[0] is not None else None, int(deliveries))


def _new(reply: Any) -> list[Entry]:
    """From ``XREADGROUP`` of one stream: in a map by RESP 3, in a list of pairs by RESP 2, or nothing."""
    streams = reply.items() if isinstance(reply, Mapping) else reply or ()
    return [Entry(_text(id_), _map(fields), 0) for _, entries in streams for id_, fields in entries]


def _map(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
