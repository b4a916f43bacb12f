"""``tasks``: those that go on, one as it stands, and what may be done about it (ST-2, ASK-5)."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, ValidationError

from fairlead.errors import Forbidden, InvalidMessage, NotFound
from fairlead.publishing.sent import Sent
from fairlead.state.task import Task as Held
from fairlead.state.task import TaskStatus
from fairlead.state.tasks import task_channel
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.messages import Changed, MessageId, changed
from fairlead_gateway.rest.route import Asked, Body, Id, Moment, Nothing, Page, Paged, Params, Rows, View, row
from fairlead_gateway.rest.speaking import Speaking
from fairlead_gateway.sessions import cancelling


class ById(Params):
    """One task."""

    id: Id


class Task(View):
    """A task as it stands."""

    task_id: str
    status: TaskStatus
    progress: float | None
    step: str | int | None
    current_device: str | int | None
    total_devices: int | None
    completed_devices: int | None
    message: str | None
    owner: str | None
    watchers: list[str]
    cancelled_by: str | None
    stalled_since: Moment | None
    version: int
    updated_at: Moment
    extra: dict[str, Any]
    """Fields of the application's own."""


class Update(Body):
    """How far a task has come; what is not given stays as it was."""

    status: TaskStatus | None = None
    progress: float | None = Field(None, ge=0, le=100)
    step: str | int | None = None
    current_device: str | int | None = None
    total_devices: int | None = Field(None, ge=0)
    completed_devices: int | None = Field(None, ge=0)
    message: str | None = None
    owner: Id | None = None
    """The user it is done for, who may watch and cancel it; stays the same."""
    watchers: list[Id] | None = Field(None, max_length=100)
    stalled_after: float | None = Field(None, ge=0)
    """Seconds of silence after which it has stalled; 0 for never."""
    ephemeral: bool = False
    message_id: MessageId | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    """Fields of your own."""


class Cancelled(View):
    """That a task was cancelled."""

    task_id: str
    status: TaskStatus
    version: int
    duplicate: bool
    """Whether it had been before."""


async def list_tasks(asked: Asked[Paged, Nothing]) -> Page[Task]:
    """List the tasks of the fleet that have not ended."""
    found, cursor = await asked.api.replica.task_states.going_on(asked.params.cursor, asked.params.limit)
    return Page(items=[view for task in found if (view := _view(task)) is not None], cursor=cursor)


async def get_task(asked: Asked[ById, Nothing]) -> Task:
    """Tell how a task stands, to operators and to who may watch it."""
    replica, id = asked.api.replica, asked.params.id
    if asked.rank < Rank.VIEWER and not await replica.authorizer.allows(asked.identity, "subscribe", task_channel(id)):
        raise Forbidden("this task is none of yours, and you were not named to watch it")
    task = await replica.task_states.ask(id)
    view = None if task is None else _view(task)
    if view is None:
        raise NotFound("there is no such task, or not any more")
    return view


async def update_task(asked: Asked[ById, Update]) -> Changed:
    """Say how far a task has come, to whoever watches it; the first update begins it."""
    body = asked.body
    given = body.model_dump(exclude={"extra"}, exclude_none=True)
    clashing = sorted(body.extra.keys() & (Update.model_fields.keys() | {"self", "task_id"}))
    if clashing:
        raise InvalidMessage(f"extra: {clashing[0]} is no field of your own; say it beside extra, or call it otherwise")
    sent: Sent = await Speaking(asked).update_task(asked.params.id, **given, **body.extra)
    return changed(sent)


async def cancel_task(asked: Asked[ById, Nothing]) -> Cancelled:
    """
    Cancel a task: operators any, users their own.

    Whoever watches it and its owner are told, and its questions are closed. Doing it again is harmless.
    """
    replica, id = asked.api.replica, asked.params.id
    if asked.rank < Rank.OPERATOR and not await replica.authorizer.allows(asked.identity, "cancel", task_channel(id)):
        raise Forbidden("this task is none of yours to cancel")
    sent = await cancelling.cancel(replica, id, asked.identity.user_id)
    return Cancelled(task_id=id, status="cancelled", version=sent.version, duplicate=sent.duplicate)


def _view(task: Held) -> Task | None:
    """*task* as it is shown; None for one whose fields nobody of ours wrote."""
    facts = {name: getattr(task, name) for name in _ALIKE}
    try:
        return Task(task_id=task.id, watchers=list(task.watchers), extra=dict(task.extra), **facts)
    except ValidationError:
        return None


_ALIKE: Final = tuple(name for name in Task.model_fields if name not in ("task_id", "watchers", "extra"))

ROWS: Final[Rows] = (
    row("GET", "/tasks", Rank.VIEWER, list_tasks, params=Paged, answer=Page[Task]),
    row(
        "GET",
        "/tasks/{id}",
        Rank.USER,
        get_task,
        params=ById,
        answer=Task,
        errors=("forbidden", "not_found"),
        is_public=True,
    ),
    row(
        "PUT", "/tasks/{id}", Rank.OPERATOR, update_task, params=ById, body=Update, answer=Changed, errors=("conflict",)
    ),
    row(
        "POST",
        "/tasks/{id}/cancel",
        Rank.USER,
        cancel_task,
        params=ById,
        answer=Cancelled,
        errors=("forbidden", "not_found", "conflict"),
        is_public=True,
    ),
)
