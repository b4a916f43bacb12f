"""Ids that the server makes: UUIDv7, which sort by time."""

from __future__ import annotations

from random import getrandbits
from time import time_ns


def uuid7() -> str:
    """
    A UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits.

    Unique, not secret. The generator is seeded by the system, and again after a fork; the standard library has the
    like from Python 3.14 on.
    """
    ms = time_ns() // 1_000_000
    random = getrandbits(74)
    low = 1 << 63 | random >> 12
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{random & 0xFFF:03x}-{low >> 48:04x}-{low & 0xFFFF_FFFF_FFFF:012x}"
