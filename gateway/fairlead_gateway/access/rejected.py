"""Why a credential is not believed: which claim, what was expected of it, and what it was."""

from __future__ import annotations

from typing import Final

from fairlead.errors import Unauthorized

_SHOWN_CHARACTERS: Final = 64


class TokenRejected(Unauthorized):
    """
    A token or ticket that does not let anybody in.

    Says enough to mend it, and never holds the token or a piece of its signature.

    :param claim: what is wrong: ``exp``, ``aud``, ``alg``, or ``token`` for the whole.
    :param expired: whether the same token would have been good earlier, so that a refreshed one will be.
    """

    def __init__(self, claim: str, expected: str, got: str, remedy: str, *, expired: bool = False) -> None:
        super().__init__(f"{claim}: expected {expected}, got {got}; {remedy}", claim=claim, expected=expected, got=got)
        self.claim = claim
        self.expired = expired


class UnknownKey(TokenRejected):
    """No key that is known now has made this token; a newer set of keys may hold one."""


def shown(value: object) -> str:
    """*value* as it may stand in a message: one line, printable, at most 64 characters."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
