"""Tasks: how far something has come that a backend does for a user, as clients watch it (ST-2, ASK-5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from msgpack import packb

from fairlead.errors import Conflict, FairleadError, InvalidMessage, NotFound
from fairlead.format.codec import to_json
from fairlead.format.control import look_order
from fairlead.format.envelope import Envelope
from fairlead.format.messages import SYSTEM, checked_message_id, push
from fairlead.names import Names, channel, checked_id, id_of
from fairlead.publishing.forms import Change, Form, fate
from fairlead.publishing.sent import Fate
from fairlead.redis.query import Query
from fairlead.redis.scripts import load
from fairlead.state.task import MAX_FIELDS, Task, field_text, held_task, is_number
from fairlead.tracing import current

if TYPE_CHECKING:
    from fairlead.pushes import TaskCancelled

MAX_WATCHERS: Final = 100

MAX_PATIENCE_SECONDS: Final = 30 * 24 * 3600

OWNED_TASKS: Final = 100
"""Tasks that are remembered of an owner; one more puts out the one that was spoken of least lately."""

OWNED_SECONDS: Final = 30 * 24 * 3600

_CANCELLED: Final = UUID("6f1c9d1e-1f0b-5c57-9a3e-3a5d0d0b7c11")
"""What ids of notices are made in."""

# -- what is said ----------------------------------------------------------------------------------


def task_channel(task_id: str | int) -> str:
    """``task:<id>``; source document 4 counts its tasks, so that a number is taken for its digits."""
    if isinstance(task_id, int) and not isinstance(task_id, bool):
        return channel("task", str(task_id))
    return channel("task", checked_id(task_id, "task id"))


def update(
    names: Names,
    task_id: str | int,
    fields: Mapping[str, object],
    *,
    sender: str = SYSTEM,
    message_id: str | None = None,
    owner: str | None = None,
    watchers: Iterable[str] | None = None,
    stalled_after: float | None = None,
    ephemeral: bool = False,
) -> Change:
    """
    The change of a task by *fields*, those that are None left out; see `Sends.update_task`.

    :raises InvalidMessage: naming the field that is not what it should be.
    """
    name = task_channel(task_id)
    texts = {key: field_text(key, value) for key, value in fields.items() if value is not None}
    head, frame = _heads("task_update", name, sender, id := checked_message_id(message_id))
    return Change(
        id,
        UPDATE,
        _keys(names, name),
        (
            head,
            frame,
            id_of(name),
            "" if owner is None else checked_id(owner, "owner"),
            b"" if watchers is None else _watchers(watchers),
            "" if stalled_after is None else _patience_ms(stalled_after),
            int(ephemeral),
            MAX_FIELDS,
            # The msgpack of Redis is from before there were two kinds of strings.
            packb([word for pair in texts.items() for word in pair], use_bin_type=False),
        ),
    )


def own(names: Names, user_id: str, task_id: str | int) -> tuple[str, Change]:
    """What is to be said before a task is given an owner: that it is one of this user's, in the user's own channel."""
    name = channel("user", user_id)
    order = look_order("tasks")
    task = id_of(task_channel(task_id))
    return name, Change(order.id, OWN, (names.tasks(user_id),), (order.seal(), task, OWNED_TASKS, OWNED_SECONDS))


def cancel(names: Names, task_id: str | int, by: str, *, sender: str = SYSTEM, message_id: str | None = None) -> Change:
    """The end of a task that *by* no longer wants; who watches it is told ``task_cancelled``."""
    name = task_channel(task_id)
    user = to_json(checked_id(by, "by"))
    head, frame = _heads("task_cancelled", name, sender, id := checked_message_id(message_id), user_id=by)
    return Change(id, CANCEL, _keys(names, name), (head, frame, id_of(name), user))


def cancelled_notice(task_id: str | int, owner: str, by: str, version: int) -> tuple[str, Envelope]:
    """
    ``task_cancelled`` for the own channel of the owner, whose devices may watch nothing.

    Its id follows from the task, so that it may be said again by whoever cannot know whether it was.
    """
    task, name = id_of(task_channel(task_id)), channel("user", owner)
    message: TaskCancelled = {
        "type": "task_cancelled",
        "task_id": task,
        "user_id": by,
        "status": "cancelled",
        "version": version,
    }
    return name, push(message, name, message_id=str(uuid5(_CANCELLED, f"{version}:{task}")))


def stalled(names: Names, task_id: str, seen_at_ms: int, form: Form) -> Change:
    """That a task, heard of at *seen_at_ms* last, has stalled; by the script of replicas, which alone notice it."""
    name = task_channel(task_id)
    head, frame = _heads("task_stalled", name, SYSTEM, id := checked_message_id(None))
    return Change(id, form, (names.task(task_id),), (head, frame, seen_at_ms))


def state_head(task_id: str) -> bytes:
    """The frame that tells the state of a task, as far as its fields; it is no message, so it has no id."""
    name = task_channel(task_id)
    return to_json({"type": "task_update", "from": SYSTEM, "to": name, "channel": name, "task_id": id_of(name)})[:-1]


# -- what is asked ---------------------------------------------------------------------------------


def task_of(names: Names, task_id: str | int) -> Query[Task | None]:
    """A task as it stands; None where there is no such task, or not any more."""
    task = id_of(task_channel(task_id))
    return Query([("HGETALL", names.task(task))], lambda replies: held_task(task, replies[0]))


def is_cancelled(names: Names, task_id: str | int) -> Query[bool]:
    """Whether a task was cancelled."""
    task = id_of(task_channel(task_id))
    return Query([("HGET", names.task(task), "status")], lambda replies: replies[0] == b'"cancelled"')


# -- inside ----------------------------------------------------------------------------------------


def _keys(names: Names, name: str) -> tuple[str, str, str]:
    task = id_of(name)
    return names.task(task), names.tasks_due(task), names.tasks_going_on(task)


def _heads(type: str, name: str, sender: str, id: str, **facts: str) -> tuple[bytes, bytes]:
    """Envelope and frame as far as the script goes on with them."""
    frame = {"type": type, "id": id, "from": sender, "to": name, "channel": name, "task_id": id_of(name), **facts}
    return Envelope(id, type, b"", trace=current()).head(), to_json(frame)[:-1]


def _watchers(user_ids: Iterable[str]) -> bytes:
    if isinstance(user_ids, str):
        raise InvalidMessage("watchers must be a list of user ids, not a string")
    watchers = [checked_id(user_id, "watcher") for user_id in user_ids]
    if len(watchers) > MAX_WATCHERS:
        raise InvalidMessage(f"at most {MAX_WATCHERS} watchers; give the others a claim instead")
    return to_json(watchers)


def _patience_ms(seconds: float) -> int:
    if not is_number(seconds) or not 0 <= seconds <= MAX_PATIENCE_SECONDS:
        raise InvalidMessage(f"stalled_after is a number of seconds, 0 for never, at most {MAX_PATIENCE_SECONDS}")
    return max(1, int(seconds * 1000)) if seconds else 0


def _read(reply: Any, tries: int) -> Fate | FairleadError:
    if reply[0] >= 0:
        return fate(reply, tries)
    _, why, status = reply
    word = (status or b"").decode().strip('"')
    return {
        b"unknown": NotFound("there is no such task, or not any more"),
        b"ended": Conflict(f"this task has ended as {word}; begin another one", status=word),
        b"owner": Conflict("this task has another owner, who stays"),
        b"full": Conflict(f"a task has at most {MAX_FIELDS} fields; use the same names again"),
    }[why]


UPDATE: Final = Form(load("task"), keys=3, args=9, read=_read)
CANCEL: Final = Form(load("cancel"), keys=3, args=4, read=_read)
OWN: Final = Form(load("own"), keys=1, args=4, read=fate)
