"""Who a connection speaks for, and what its claims allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from fairlead.names import id_of, kind_of

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

CLAIM_OF_KIND: Final = {
    "session": "sessions",
    "instance": "instances",
    "topic": "topics",
    "task": "tasks",
    "device": "devices",
}
"""Which list of patterns in the token speaks of which kind of channel."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as a verified token describes them."""

    user_id: str
    role: str = ""
    grants: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)
    """Patterns (``*`` matches anything) by claim: ``{"sessions": ("s1", "team-*")}``."""

    expires_at: float | None = None
    """Unix seconds when the token ends; None for never (anonymous only)."""

    device_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    """Username, organisation, …: shown to administrators, never used for decisions."""

    anonymous: bool = False

    token_id: str = ""
    """What its issuer calls the token (``jti``); empty for one without a name."""

    issued_at: float | None = None
    """Unix seconds when the token was issued; None where it does not say."""

    def on_device(self, device_id: str) -> Identity:
        """This identity on the device that a client says it is; a device that the token names is believed instead."""
        return replace(self, device_id=device_id) if device_id and not self.device_id else self

    def claims_allow(self, channel: str) -> bool:
        """Whether the token alone permits *channel*: the user's own, broadcast, or a pattern that matches."""
        kind = kind_of(channel)
        if kind == "broadcast":
            return True
        if kind == "user":
            return id_of(channel) == self.user_id
        if kind == "role":
            return id_of(channel) == self.role
        patterns = self.grants.get(CLAIM_OF_KIND.get(kind, ""), ())
        name = id_of(channel)
        return any(matches(pattern, name) for pattern in patterns)


def matches(pattern: str, name: str) -> bool:
    """Whether *name* is *pattern*, in which each ``*`` stands for anything and every other character for itself."""
    head, *rest = pattern.split("*")
    if not rest:
        return name == head
    *middle, tail = rest
    if not name.startswith(head):
        return False
    at = len(head)
    for part in middle:
        at = name.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return at <= len(name) - len(tail) and name.endswith(tail)
