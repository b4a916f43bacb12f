"""Where tokens come from, and when the next one is due (O2, T1)."""

from __future__ import annotations

import asyncio
import binascii
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Final, Literal, NamedTuple, TypeAlias

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import from_json

TokenReason: TypeAlias = Literal["connect", "refused", "expires"]
"""Why a token is wanted: for a first try, because the last one was refused, or because it ends soon."""

TokenSource: TypeAlias = str | Callable[[TokenReason], str | Awaitable[str | None] | None]

EARLY_SECONDS: Final = 30.0
"""How long before its end a token is replaced, unless nine tenths of its life end later."""


class Life(NamedTuple):
    """From when to when a token holds: Unix seconds, by the clock of who issued it."""

    begin: float
    end: float

    @property
    def due(self) -> float:
        """When to ask for the next one."""
        return max(self.end - EARLY_SECONDS, self.begin + 0.9 * (self.end - self.begin))


class Tokens:
    """Asks for tokens, and keeps the last one until it was refused."""

    def __init__(self, source: TokenSource | None) -> None:
        self._source = source
        self._reason: TokenReason = "connect"
        self.known = checked_token(source) if isinstance(source, str) else ""

    @property
    def renews(self) -> bool:
        """Whether there is somebody to ask for another one."""
        return callable(self._source)

    @property
    def is_needed(self) -> bool:
        """Whether it makes no sense to open a connection without one."""
        return self._source is not None

    def begin(self) -> None:
        """Whoever connects anew may be somebody else."""
        if self.renews:
            self.known, self._reason = "", "connect"

    def refused(self) -> None:
        """The one we have is of no use any more."""
        if self.renews:
            self.known, self._reason = "", "refused"

    async def current(self, now: float) -> str:
        """
        The token for a try; empty where there is none. Raises what the function of the application raises.

        :param now: Unix seconds.
        """
        life = life_of(self.known, now) if self.renews else None
        if self.renews and (not self.known or (life is not None and life.end <= now)):
            self.known = ""
            self.known, self._reason = await self.ask(self._reason), "connect"
        return self.known

    async def ask(self, reason: TokenReason) -> str:
        """Another token, which is not yet taken for the known one."""
        assert callable(self._source)
        try:
            given = self._source(reason)
            return checked_token((await given if isawaitable(given) else given) or "")
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not we were cancelled, but something that the function awaited.
            raise RuntimeError("the token function awaited what was cancelled") from error


def checked_token(token: object) -> str:
    """
    *token*, without the white space around it: files end with a newline.

    :raises InvalidMessage: it cannot stand in a header.
    """
    if isinstance(token, str) and (bare := token.strip()).isascii() and bare.isprintable() and " " not in bare:
        return bare
    raise InvalidMessage("a token is a string of printable ASCII without spaces")


def life_of(token: str, now: float) -> Life | None:
    """
    The life of a JWT as far as it says, without believing it; None for one without an end.

    :param now: Unix seconds; when it began, if it does not say.
    """
    body = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = from_json(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (InvalidJson, binascii.Error, ValueError):
        return None
    if not isinstance(claims, dict) or not isinstance(end := claims.get("exp"), int | float):
        return None
    begin = claims.get("iat")
    return Life(float(begin) if isinstance(begin, int | float) and begin < end else now, float(end))
