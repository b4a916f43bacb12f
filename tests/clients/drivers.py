"""One way to drive either client: `PythonDriver` here, `NodeDriver` in a process of its own (``driver.mjs``)."""

from __future__ import annotations

import asyncio
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from fairlead import Client
from fairlead.errors import FairleadError
from fairlead.format.position import Position
from tests.clients.scripted import SECONDS

FOLDER = Path(__file__).parent
CLIENT = FOLDER.parents[1] / "gateway" / "fairlead_gateway" / "static" / "client" / "fairlead.js"
LINE_BYTES = 1 << 26
CALL_SECONDS = 45.0
"""How long a call may take that waits for a client to come back."""

Facts = dict[str, Any]
TokenFunction = Callable[[str], Awaitable[str | None]]
"""Is given the reason, and may take its time."""

QUICK: Mapping[str, float] = {"backoff_min": 0.02, "backoff_max": 0.2}
"""Options of every client here that are not about something else: nobody waits for long."""


class Fault(Exception):
    """What a call of either client failed with."""

    def __init__(self, code: str, message: str, detail: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.detail = detail


class Driver(ABC):
    """
    A client and everything that it told, in one order.

    ``state``, ``recovered``, ``error`` and ``frame`` are always noted; ``message``, ``change``, ``question`` and
    ``taken_back`` once they were asked for; ``token`` when the token function was called.
    """

    kind: ClassVar[str]

    def __init__(self) -> None:
        self.told: list[tuple[str, Facts]] = []
        self._unread: list[tuple[str, Facts]] = []
        self._news = asyncio.Event()
        self._token: TokenFunction | None = None

    # -- what a scenario does --------------------------------------------------------------------

    @abstractmethod
    async def make(
        self, url: str, *, token: str | TokenFunction | None = "a-token", codec: Path | None = None, **options: Any
    ) -> Self:
        """Make the client, idle as yet; options as of `fairlead.Client`."""

    @abstractmethod
    async def do(self, name: str, *args: Any, on: str = "", **options: Any) -> Any:
        """
        Call a method and wait for its result.

        :param on: ``session:s1``, ``task:t1`` or ``instance:i1`` for a method of these.
        :raises Fault: what it failed with.
        """

    @abstractmethod
    async def get(self, name: str, on: str = "") -> Any:
        """The value of a property."""

    @abstractmethod
    async def hear(self, type: str = "*", *, on: str = "", fails: int = 0, label: str = "") -> None:
        """Note messages of a type; the handler *fails* that often, after it has noted one."""

    @abstractmethod
    async def watch(self, instance: str) -> None:
        """Note the changes of a mirror."""

    @abstractmethod
    async def show_questions(self) -> None:
        """Note questions; each waits for `answer`."""

    @abstractmethod
    async def answer(self, callback_id: str, value: Any) -> None:
        """Let the handler of a question return *value*."""

    @abstractmethod
    async def leave(self) -> None:
        """End it, whatever it is doing."""

    def begin(self, name: str, *args: Any, on: str = "", **options: Any) -> asyncio.Task[Any]:
        """`do` without waiting; nobody has to ask how it ended."""
        task = asyncio.create_task(self.do(name, *args, on=on, **options))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    # -- what it told ----------------------------------------------------------------------------

    async def until(
        self, kind: str, seconds: float = SECONDS, *, where: Callable[[Facts], bool] = bool, **wanted: Any
    ) -> Facts:
        """The next fact of a kind, with these values, that no other call has returned."""
        async with asyncio.timeout(seconds):
            while True:
                for one in self._unread:
                    if one[0] == kind and wanted.items() <= one[1].items() and where(one[1]):
                        self._unread.remove(one)
                        return one[1]
                self._news.clear()
                await self._news.wait()

    async def message(self, seconds: float = SECONDS, *, label: str = "", **wanted: Any) -> Facts:
        """The next message with these values, to the handler of this label; those before it are passed over."""
        async with asyncio.timeout(seconds):
            while True:
                heard: Facts = (await self.until("message", seconds, label=label))["message"]
                if wanted.items() <= heard.items():
                    return heard

    def all(self, kind: str) -> list[Facts]:
        """Every fact of a kind so far, in order."""
        return [fact for what, fact in self.told if what == kind]

    def messages(self, label: str = "", type: str = "") -> list[Facts]:
        """Every message that the handler of this label was given, in order."""
        heard = [fact["message"] for fact in self.all("message") if fact["label"] == label]
        return [message for message in heard if type in ("", message["type"])]

    def _happened(self, kind: str, fact: Facts) -> None:
        self.told.append((kind, fact))
        self._unread.append((kind, fact))
        self._news.set()

    async def _asked_for_token(self, reason: str) -> str | None:
        self._happened("token", {"reason": reason})
        assert self._token is not None
        return await self._token(reason)


# -- Python ----------------------------------------------------------------------------------------


class PythonDriver(Driver):
    """`fairlead.Client`, in this loop."""

    kind = "python"

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, asyncio.Future[Any]] = {}

    async def make(
        self, url: str, *, token: str | TokenFunction | None = "a-token", codec: Path | None = None, **options: Any
    ) -> Self:
        self._token = token if callable(token) else None
        source = self._asked_for_token if callable(token) else token
        given = {**QUICK, **options} | ({"msgpack": True} if codec else {})
        self._client = Client(url, token=source, **given)
        self._client.on_state(lambda change: self._happened("state", _plain(change)))
        self._client.on_recovered(lambda recovery: self._happened("recovered", _plain(recovery)))
        self._client.on_error(lambda error: self._happened("error", _fault(error)))
        self._client.on_frame(lambda way, frame: self._happened("frame", {"way": way, "frame": dict(frame)}))
        return self

    async def do(self, name: str, *args: Any, on: str = "", **options: Any) -> Any:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                result = getattr(self._target(on), name)(*args, **options)
                return _plain(await result if inspect.isawaitable(result) else result)
        except FairleadError as error:
            raise Fault(error.code, error.message, error.detail) from error

    async def get(self, name: str, on: str = "") -> Any:
        return _plain(getattr(self._target(on), name))

    async def hear(self, type: str = "*", *, on: str = "", fails: int = 0, label: str = "") -> None:
        left = fails

        def handle(message: Any) -> None:
            nonlocal left
            self._happened("message", {"label": label, "message": dict(message)})
            if left > 0:
                left -= 1
                raise ValueError(f"{label} fails")

        self._target(on).on(type, handle)

    async def hear_slowly(self, type: str, free: asyncio.Event) -> None:
        """Note messages of a type, none before *free* is set."""

        async def handle(message: Any) -> None:
            await free.wait()
            self._happened("message", {"label": "", "message": dict(message)})

        self._client.on(type, handle)

    async def watch(self, instance: str) -> None:
        self._target(f"instance:{instance}").on_change(lambda change: self._happened("change", _plain(change)))

    async def show_questions(self) -> None:
        async def show(question: Any) -> Any:
            self._happened("question", {**_plain(question), "frame": None, "remaining": question.remaining()})
            answered = self._shown[question.callback_id] = asyncio.get_running_loop().create_future()
            try:
                return await answered
            except asyncio.CancelledError:
                closed = _plain(question.closed)
                self._happened("taken_back", {"callback_id": question.callback_id, **closed})
                raise

        self._client.on_question(show)

    async def answer(self, callback_id: str, value: Any) -> None:
        self._shown[callback_id].set_result(value)

    async def leave(self) -> None:
        if hasattr(self, "_client"):
            await self._client.close()

    def _target(self, on: str) -> Any:
        kind, _, id = on.partition(":")
        return getattr(self._client, kind)(id) if on else self._client


def _plain(value: Any) -> Any:
    """What JSON would make of it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value) if not one.name.startswith("_")}
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Position):
        return {name: one for name, one in value._asdict().items() if one or name != "id"}
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _fault(error: BaseException) -> Facts:
    return {"code": getattr(error, "code", ""), "message": str(error), "detail": getattr(error, "detail", {})}


# -- JavaScript ------------------------------------------------------------------------------------


class NodeDriver(Driver):
    """``fairlead.js`` in a Node process of its own."""

    kind = "javascript"

    def __init__(self, node: Path) -> None:
        super().__init__()
        self._node = node
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._asked = 0

    async def make(
        self, url: str, *, token: str | TokenFunction | None = "a-token", codec: Path | None = None, **options: Any
    ) -> Self:
        self._token = token if callable(token) else None
        given = {**QUICK, **options}
        source = None if callable(token) else token
        await self._ask("make", url=url, token=source, asks=callable(token), given=given, codec=codec and str(codec))
        return self

    async def do(self, name: str, *args: Any, on: str = "", **options: Any) -> Any:
        return await self._ask("call", on=on, name=name, args=args, given=options)

    async def get(self, name: str, on: str = "") -> Any:
        return await self._ask("get", on=on, name=name)

    async def hear(self, type: str = "*", *, on: str = "", fails: int = 0, label: str = "") -> None:
        await self._ask("hear", on=on, type=type, fails=fails, label=label)

    async def watch(self, instance: str) -> None:
        await self._ask("watch", on=f"instance:{instance}")

    async def show_questions(self) -> None:
        await self._ask("show_questions")

    async def answer(self, callback_id: str, value: Any) -> None:
        await self._ask("answer", id=callback_id, value=value)

    async def page(self) -> None:
        """Give it what a page has, before it is made."""
        await self._ask("page")

    async def system(self, event: str, *, online: bool) -> None:
        """Let the system say ``online``, ``offline``, or that the page is shown (``visibilitychange``)."""
        await self._ask("system", event=event, online=online)

    async def leave(self) -> None:
        if self._process is not None and self._reading is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._reading

    async def _ask(self, command: str, **fields: Any) -> Any:
        if self._process is None:
            await self._start()
        self._asked += 1
        waiting = self._waiting[self._asked] = asyncio.get_running_loop().create_future()
        await self._tell({"ask": self._asked, "do": command, **fields})
        async with asyncio.timeout(CALL_SECONDS):
            return await waiting

    async def _tell(self, line: Facts) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            self._node,
            FOLDER / "driver.mjs",
            CLIENT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
        )
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for text in self._process.stdout:
            line = json.loads(text)
            if "event" in line:
                self._happened(line["event"], line["fact"])
            elif "call" in line:
                answering = asyncio.create_task(self._answer(line))
                self._answering.add(answering)
                answering.add_done_callback(self._answering.discard)
            else:
                self._settle(line)
        for waiting in self._waiting.values():
            waiting.cancel()

    def _settle(self, line: Facts) -> None:
        waiting = self._waiting.pop(line["ref"])
        if waiting.cancelled():
            return
        if "error" not in line:
            waiting.set_result(line["value"])
        elif trace := line["error"].pop("trace", ""):
            waiting.set_exception(AssertionError(trace))
        else:
            waiting.set_exception(Fault(**line["error"]))

    async def _answer(self, line: Facts) -> None:
        try:
            said: Facts = {"value": await self._asked_for_token(line["about"])}
        except ValueError as error:
            said = {"error": str(error)}
        await self._tell({"answer": line["call"], **said})
