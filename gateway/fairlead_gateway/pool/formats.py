"""In which shape a client reads its messages."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

JSON_SUBPROTOCOL: Final = "fairlead.v1.json"
MSGPACK_SUBPROTOCOL: Final = "fairlead.v1.msgpack"


class Format(IntEnum):
    """One finished frame serves every socket of the same format."""

    JSON = 0
    MSGPACK = 1
    JSON_DEFLATED = 2
    MSGPACK_DEFLATED = 3

    @property
    def is_msgpack(self) -> bool:
        return bool(self & 1)

    @property
    def is_deflated(self) -> bool:
        return bool(self & 2)

    @classmethod
    def of(cls, subprotocol: str | None, deflates: bool) -> Format:
        """What was agreed in the handshake."""
        return cls((subprotocol == MSGPACK_SUBPROTOCOL) + 2 * deflates)
