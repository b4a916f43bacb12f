"""How a task is cancelled, whoever asks for it and was found to be allowed to (ASK-5)."""

from __future__ import annotations

from fairlead.publishing.sent import Sent
from fairlead.state import tasks
from fairlead.state.task import Task
from fairlead_gateway.sessions.replica import Replica


async def cancel(replica: Replica, task_id: str, by: str) -> Sent:
    """
    Cancel a task in the name of the user *by*: who watches it, the owner's devices and backends are told, and its
    questions are closed.

    Doing it again is harmless. What whoever dies of it leaves undone, a replica does a second later.

    :raises NotFound: there is no such task, or not any more.
    :raises Conflict: it has ended otherwise.
    :raises Unavailable: Redis cannot be reached.
    """
    change = tasks.cancel(replica.names, task_id, by, sender=f"user:{by}")
    sent = await replica.publisher.publish(tasks.task_channel(task_id), change)
    task = await replica.task_states.ask(task_id)
    if task is not None and not sent.duplicate:
        await complete(replica, task)
    return sent


async def complete(replica: Replica, task: Task) -> None:
    """
    Do what follows when *task* was cancelled; backends may hear of it twice.

    :raises Unavailable: Redis cannot be reached; it is done again.
    """
    if task.owner and task.cancelled_by:
        notice = tasks.cancelled_notice(task.id, task.owner, task.cancelled_by, task.version)
        await replica.publisher.publish(*notice)
    await replica.questions.cancel_of_task(task.id)
    replica.events.emit("task_cancelled", task_id=task.id, user_id=task.cancelled_by, owner=task.owner)
    await replica.task_states.settled(task.id)
