"""What a client was told to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """What `fairlead.Client` was told to be; times in seconds."""

    url: str
    device_id: str
    msgpack: bool
    open_timeout: float
    reply_timeout: float
    backoff_min: float
    backoff_max: float
    heartbeat: float | None
    pong_timeout: float
    auto_ack: bool
