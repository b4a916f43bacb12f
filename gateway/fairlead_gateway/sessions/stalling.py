"""How it is noticed that a task has fallen silent, or that its end has yet to be told: by one replica (ST-2)."""

from __future__ import annotations

from fairlead.format.messages import rfc3339_ms
from fairlead.state import tasks
from fairlead_gateway.facts.tasks import STALLED
from fairlead_gateway.sessions import cancelling
from fairlead_gateway.sessions.replica import Replica


async def look(replica: Replica, task_id: str) -> int | None:
    """
    Look at a task whose time has come; when to look again (Redis time, ms), None unless it says something.

    :raises Unavailable: Redis cannot be reached; whoever looks next does the same.
    """
    task = await replica.task_states.ask(task_id)
    if task is not None and task.status == "cancelled":
        await cancelling.complete(replica, task)
        return None
    silence = await replica.task_states.silence(task_id)
    if silence is None:
        return None
    if silence.now_ms < silence.stalled_ms:
        return silence.stalled_ms
    change = tasks.stalled(replica.names, task_id, silence.since_ms, STALLED)
    sent = await replica.publisher.publish(tasks.task_channel(task_id), change)
    if not sent.duplicate:
        replica.events.emit("task_stalled", task_id=task_id, since=rfc3339_ms(silence.since_ms))
    return None
