"""What the client tells the application about itself: states, recoveries, and how a connection ended."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from fairlead.codes import word_of

Frame: TypeAlias = dict[str, Any]
"""One message of the protocol, decoded."""

State: TypeAlias = Literal["idle", "connecting", "open", "waiting", "stopped"]

_REASON: Final = re.compile(r"([a-z][a-z0-9_]*)(?:: ?(.*))?", re.DOTALL)

LOST: Final = 1006
"""The code of a connection that broke."""


class StateChange(NamedTuple):
    """A change of state (S1)."""

    state: State
    code: int = 0
    """Why it is so: the close code, 1006 for a connection that broke, 0 where there was none."""
    word: str = ""
    """``drain``, ``token_expired``, ``no_token``, ``closed``, ``no_greeting``, ``half_open``, ``lost``, ``hole`` …"""
    text: str = ""
    """What the gateway said about it, for people."""
    attempt: int = 0
    """Tries since the client was last open for five seconds."""
    retry_in: float = 0.0
    """Seconds until the next try; 0 unless ``waiting``."""


class Recovery(NamedTuple):
    """Whether a channel is whole again (P5)."""

    channel: str
    recovered: bool
    """False: load anew what you know of this channel."""
    missed: int = 0
    """How many messages follow, as far as it is known."""
    code: str = ""
    """``forbidden`` where the channel is heard no more."""


class End(NamedTuple):
    """How a connection ended, or why there was none."""

    code: int
    word: str
    text: str = ""


class Ended(Exception):
    """Raised where the next frame was awaited."""

    def __init__(self, end: End) -> None:
        super().__init__(f"{end.code} {end.word}: {end.text}")
        self.end = end


def end_of(code: int, reason: str) -> End:
    """What a close frame says: ``drain: 350`` is the word ``drain`` and the text ``350``."""
    found = _REASON.fullmatch(reason)
    return End(code, found[1], found[2] or "") if found else End(code, word_of(code), reason)
