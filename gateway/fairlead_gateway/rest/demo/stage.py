"""What backends do on the demonstration page, by calls that any of them has: few at once, ended with the replica."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from fairlead.errors import Conflict, FairleadError, RateLimited
from fairlead.ids import uuid7
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.demo.wishes import Ask, Notify, Roll, Say
from fairlead_gateway.rest.notifications import Notify as Notification
from fairlead_gateway.rest.notifications import tell

log = structlog.get_logger(__name__)

SENDER: Final = "service:harbour"
"""Who speaks."""

MAX_SHOWS: Final = 12
"""Tasks, questions and rounds of messages that a replica has on at once."""

DEVICES: Final = tuple(f"switch-{number:02}" for number in range(1, 9))
DEVICE_SECONDS: Final = 1.2
STALLED_SECONDS: Final = 15.0
"""Silence after which a task is told to have stalled: its replica was killed, and nobody else goes on with it."""

QUESTION_SECONDS: Final = 20.0
PACE_SECONDS: Final = 0.05

NOTIFICATIONS: Final = {
    "info": ("Maintenance tonight", "Two replicas are updated at 22:00. Nobody will notice."),
    "success": ("Backup finished", "8 switches, 41 MB, in 12 seconds."),
    "warning": ("Disk is filling up", "switch-03 has 9 % left."),
    "error": ("switch-05 does not answer", "Three tries, no reply."),
    "urgent": ("Link down in Frankfurt", "Traffic has moved to Munich. Please have a look."),
}
"""Title and message of the notification of each type."""


class Stage:
    """The shows of one replica."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._running = 0

    async def roll(self, wish: Roll) -> dict[str, Any]:
        """Begin a task; it is known when this returns."""
        id = f"upgrade-{uuid7()[-6:]}"
        self._ensure_room()
        await self._api.sends.update_task(
            id,
            status="running",
            progress=0,
            total_devices=len(DEVICES),
            completed_devices=0,
            owner=wish.owner,
            watchers=wish.watchers,
            stalled_after=STALLED_SECONDS,
        )
        self._start(self._roll(id, wish), "task")
        return {"task_id": id}

    async def ask(self, wish: Ask) -> dict[str, Any]:
        """Ask, and tell everybody who was asked what the answer was."""
        self._start(self._ask(wish), "question")
        return {}

    async def notify(self, wish: Notify) -> dict[str, Any]:
        """Notify somebody; as ``POST notify`` does."""
        title, message = NOTIFICATIONS[wish.type]
        told = Notification(
            user_id=wish.user,
            title=title,
            message=message,
            type=wish.type,
            action_url="/demo" if wish.type in ("error", "urgent") else None,
            auto_close=wish.type in ("info", "success"),
        )
        return {"id": (await tell(self._api, SENDER, told)).id}

    async def say(self, wish: Say) -> dict[str, Any]:
        """Begin to say many things in a session."""
        self._start(self._say(wish), "messages")
        return {}

    # -- what goes on by itself --------------------------------------------------------------------

    async def _roll(self, id: str, wish: Roll) -> None:
        try:
            for done, device in enumerate(DEVICES):
                if done == len(DEVICES) // 2 and not await self._may_go_on(id, wish, done):
                    await self._progress(id, done, status="cancelled", message="stopped by who was asked")
                    return
                await self._progress(id, done, current_device=device)
                await asyncio.sleep(DEVICE_SECONDS)
            await self._progress(id, len(DEVICES), status="completed", message="all switches are up to date")
        except Conflict:
            return  # it was cancelled, which is all that there is to know

    async def _may_go_on(self, id: str, wish: Roll, done: int) -> bool:
        result = {"step": "half", "message": f"{done} switches are done. Go on with the rest?", "completed": True}
        answer = await self._api.questions.notify_user(
            result,
            wish.owner,
            id,
            done,
            responders=[wish.owner, *wish.watchers],
            timeout=QUESTION_SECONDS,
            on_timeout="proceed",
            feedback="none",
        )
        return answer.proceed

    async def _progress(self, id: str, done: int, **facts: Any) -> None:
        progress = 100 * done / len(DEVICES)
        await self._api.sends.update_task(id, progress=progress, completed_devices=done, **facts)

    async def _ask(self, wish: Ask) -> None:
        answer = await self._api.questions.ask(
            wish.people,
            wish.message,
            timeout=QUESTION_SECONDS,
            on_timeout="stop",
            severity="warning",
            feedback="optional",
        )
        who = f"{answer.responded_by} said" if answer.by_human else "Nobody answered:"
        said = f"{who} {'go on' if answer.proceed else 'stop'}{f' – {answer.feedback}' if answer.feedback else ''}"
        told = {"title": wish.message, "message": said, "auto_close": True}
        for person in wish.people:
            kind = "success" if answer.proceed else "warning"
            await tell(self._api, SENDER, Notification(user_id=person, type=kind, **told))

    async def _say(self, wish: Say) -> None:
        for number in range(1, wish.count + 1):
            said = {"type": "new_message", "from": SENDER, "content": f"Message {number} of {wish.count}"}
            await self._api.sends.send_to_session(wish.session, said)
            await asyncio.sleep(PACE_SECONDS)

    # -- how many ----------------------------------------------------------------------------------

    def _ensure_room(self) -> None:
        if self._running >= MAX_SHOWS:
            raise RateLimited(f"{MAX_SHOWS} things go on here already; wait until some have ended", retry_ms=5000)

    def _start(self, show: Coroutine[Any, Any, None], what: str) -> None:
        """:raises RateLimited: too many go on."""
        try:
            self._ensure_room()
        except RateLimited:
            show.close()
            raise
        self._running += 1
        self._api.replica.tasks.start(self._counted(show, what), name=f"demo {what}").add_done_callback(self._ended)

    async def _counted(self, show: Coroutine[Any, Any, None], what: str) -> None:
        try:
            await show
        except FairleadError as error:
            log.warning("demo broken off", what=what, why=error.message)

    def _ended(self, _task: asyncio.Task[Any]) -> None:
        self._running -= 1
