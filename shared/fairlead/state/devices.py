"""Devices: notices of how they are, and the last one of each for whoever begins to watch (ST-3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import from_json
from fairlead.format.envelope import Envelope, unseal
from fairlead.names import Names, channel
from fairlead.publishing.forms import Change, Form, fate
from fairlead.redis.query import Query
from fairlead.redis.scripts import load

if TYPE_CHECKING:
    from fairlead.pushes import DeviceNotice

DeviceId: TypeAlias = str | int

DeviceStatus: TypeAlias = Literal["online", "offline", "error", "risk_control", "banned"]

STATUSES: Final[tuple[str, ...]] = get_args(DeviceStatus)

KEPT_SECONDS: Final = 30 * 24 * 3600
"""How long the last status of a device is kept."""

_LATEST: Final = Form(load("latest"), keys=1, args=2, read=fate)


def device_channel(device_id: DeviceId) -> str:
    """The channel of a device, whose id may be a number: ``device:456``."""
    is_number = isinstance(device_id, int) and not isinstance(device_id, bool)
    return channel("device", str(device_id) if is_number else device_id)  # type: ignore[arg-type]


def notice(device_id: DeviceId, status: DeviceStatus, extra: Mapping[str, object]) -> dict[str, object]:
    """The message that says how a device is; its id stays a number if it is one."""
    if status not in STATUSES:
        raise InvalidMessage(f"the status of a device is one of {', '.join(STATUSES)}", status=str(status)[:64])
    said: DeviceNotice = {"type": "device_status", "device_id": device_id, "status": status}
    return {**extra, **said}


def kept(names: Names, channel: str, envelope: Envelope) -> Change:
    """*envelope*, to be said in *channel* and kept as its state."""
    return Change(envelope.id, _LATEST, (names.latest(channel),), (envelope.seal(), KEPT_SECONDS))


def device_state(names: Names, device_id: DeviceId) -> Query[dict[str, Any] | None]:
    """The last notice of a device, as its watchers got it; None if there was none for a month."""
    command = ("GET", names.latest(device_channel(device_id)))
    return Query([command], lambda replies: _message(state_frame(replies[0])))


def state_frame(data: bytes | None) -> bytes:
    """The JSON frame in what is kept of a channel; empty where there is none."""
    try:
        return b"" if data is None else unseal(data).envelope.frame
    except InvalidMessage:
        return b""


def _message(frame: bytes) -> dict[str, Any] | None:
    try:
        message = from_json(frame) if frame else None
    except InvalidJson:
        return None
    return message if isinstance(message, dict) else None
