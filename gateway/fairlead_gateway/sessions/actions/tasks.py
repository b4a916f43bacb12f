"""``subscribe_task``, ``unsubscribe_task`` and ``cancel``: what a client may do about a task (ST-2, ASK-5)."""

from __future__ import annotations

from functools import partial

import orjson

from fairlead.errors import Forbidden
from fairlead.state.tasks import task_channel
from fairlead_gateway.sessions import cancelling, seating
from fairlead_gateway.sessions.actions.channels import ensure_allowed
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.frames import TaskAction
from fairlead_gateway.sessions.replies import Cancelled, OfTask, TaskHeard


async def subscribe_task(context: Context, frame: TaskAction) -> TaskHeard:
    """
    Hear of a task from now on: of one's own, of one that one was named a watcher of, or as the claims allow.

    The reply holds the state of now, or null before the task's first word; the same is pushed as ``task_update``
    behind it, so that a client that sends no ``id`` has it as well.
    """
    replica, name = context.replica, task_channel(frame.task_id)
    await ensure_allowed(context, [name])
    caught = await seating.sit(replica, context.connection, [name], {})
    replica.monitors.keep(context.connection, name)
    context.afterwards.append(partial(seating.go_on, replica, context.connection, caught))
    state = next((orjson.loads(message.frame) for message in caught[name].missed), None)
    return {"task_id": frame.task_id, "task": state, "channels": seating.told(caught)}


async def unsubscribe_task(context: Context, frame: TaskAction) -> OfTask:
    """Hear of a task no more."""
    seating.stand_up(context.replica, context.connection, [task_channel(frame.task_id)])
    return {"task_id": frame.task_id}


async def cancel(context: Context, frame: TaskAction) -> Cancelled:
    """
    Cancel a task of one's own; a role of ``FAIRLEAD_TASK_OPERATOR_ROLES`` may cancel what its claims let it watch.

    Whoever works on it learns of it by ``is_cancelled`` or the event ``task_cancelled``.
    """
    name = task_channel(frame.task_id)
    if not await context.replica.authorizer.allows(context.identity, "cancel", name):
        raise Forbidden(f"{name} is no task of yours to cancel", channels=[name])
    sent = await cancelling.cancel(context.replica, frame.task_id, context.user_id)
    return {
        "task_id": frame.task_id,
        "status": "cancelled",
        "version": sent.version,
        "duplicate": sent.duplicate,
    }
