"""Ids that the server makes: UUIDv7, which sort by time."""

from __future__ import annotations

import os
import time

_HEX = bytes.hex


def uuid7() -> str:
    """
    A UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits.

    The standard library has it from 3.14 on.
    """
    random = bytearray(os.urandom(10))
    random[0] = 0x70 | (random[0] & 0x0F)
    random[2] = 0x80 | (random[2] & 0x3F)
    text = _HEX((time.time_ns() // 1_000_000).to_bytes(6, "big") + random)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
