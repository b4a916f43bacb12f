"""A task as it stands: its fields, what they may be, and how Redis holds them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast, get_args

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import bounded, from_json, to_json

TaskStatus = Literal["pending", "running", "completed", "failed", "cancelled"]

STATUSES: Final[tuple[str, ...]] = get_args(TaskStatus)
ENDED: Final = frozenset({"completed", "failed", "cancelled"})
"""Nothing comes after these: whoever does the same thing again begins another task."""

MAX_FIELDS: Final = 64
"""Fields of a task, and what is ours."""

MAX_FIELD_BYTES: Final = 8192
"""One field as JSON; so a whole state is never more than may be published."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it stands."""

    id: str
    status: TaskStatus
    version: int
    """Grows by one with each change."""
    updated_at: datetime
    progress: float | None = None
    """Percent."""
    step: str | int | None = None
    current_device: str | int | None = None
    total_devices: int | None = None
    completed_devices: int | None = None
    message: str | None = None
    owner: str | None = None
    watchers: tuple[str, ...] = ()
    cancelled_by: str | None = None
    stalled_since: datetime | None = None
    """When it was heard of last, if that is longer ago than it should be."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the application's own."""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


def held_task(task_id: str, reply: Any) -> Task | None:
    """The task in the hash that Redis holds; None where there is none, or none of ours."""
    pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    held = {key.decode(errors="replace"): value for key, value in pairs}
    try:
        return _task(task_id, held) if held else None
    except (InvalidJson, ValueError, TypeError, KeyError, OverflowError):
        return None


def _task(task_id: str, held: Mapping[str, bytes]) -> Task:
    facts: dict[str, Any] = {key: from_json(value) for key, value in held.items() if not key.startswith("@")}
    own = {key: facts.pop(key) for key in (*_KNOWN, "cancelled_by") if key in facts}
    return Task(
        id=task_id,
        version=int(held["@version"]),
        updated_at=_moment(held["@at"]),
        owner=held["@owner"].decode() if "@owner" in held else None,
        watchers=tuple(from_json(held.get("@watchers", b"[]"))),  # type: ignore[arg-type]
        stalled_since=_moment(held["@stalled"]) if "@stalled" in held else None,
        extra=facts,
        **own,
    )


def _moment(milliseconds: bytes) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


# -- what fields may be ----------------------------------------------------------------------------

_OURS: Final = frozenset(
    (
        *("type", "id", "from", "to", "channel", "offset", "timestamp", "task_id", "owner", "version", "updated_at"),
        *("stalled_since", "cancelled_by", "user_id", "ref", "ok"),
    )
)
"""Fields of the frames that nobody can give."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_percentage(value: object) -> bool:
    return is_number(value) and 0 <= cast(float, value) <= 100


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_name(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


_KNOWN: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "status": (lambda value: value in STATUSES, f"one of {', '.join(STATUSES)}"),
    "progress": (_is_percentage, "a percentage, 0 to 100"),
    "step": (_is_name, "a string or a whole number"),
    "current_device": (_is_name, "a string or a whole number"),
    "total_devices": (_is_count, "a number of devices, 0 or more"),
    "completed_devices": (_is_count, "a number of devices, 0 or more"),
    "message": (lambda value: isinstance(value, str), "a string"),
}
"""The fields that every client knows: what they may be, and how that is said."""

_EXTRA: Final[tuple[Callable[[object], bool], str]] = (lambda value: True, "anything")


def field_text(name: str, value: object) -> bytes:
    """*value* as the JSON of the field *name*."""
    is_right, rule = _KNOWN.get(name, _EXTRA)
    if name not in _KNOWN and (name in _OURS or not _NAME.fullmatch(name)):
        raise InvalidMessage(f"{name[:64]!r} cannot be a field of a task; choose another name of letters, digits and _")
    if not is_right(value):
        raise InvalidMessage(f"{name} must be {rule}")
    return bounded(to_json(value), MAX_FIELD_BYTES)
