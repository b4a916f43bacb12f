"""The link: one connection after the other, from the first try until it is asked to stop or told not to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from fairlead.client.listener import Listener
from fairlead.client.options import Options
from fairlead.client.pulse import Pulse
from fairlead.client.renewal import Renewal, ended
from fairlead.client.requests import framed, given
from fairlead.client.returning import Plan, Returning
from fairlead.client.tokens import Tokens
from fairlead.client.told import LOST, End, Ended, Frame, State, StateChange
from fairlead.errors import InvalidJson, InvalidMessage, error_of
from fairlead.format.codec import to_json

if TYPE_CHECKING:
    from fairlead.client.socket import Socket

_OVERTAKEN = End(4100, "slow_consumer", "the handlers are slower than the messages")
_HALF_OPEN = End(LOST, "half_open", "the gateway has fallen silent")
_HOLE = End(LOST, "hole", "a part of a channel did not come")
_NO_GREETING = End(LOST, "no_greeting", "no greeting in time")
_NO_TOKEN = End(0, "no_token", "the token function gave none")
_TURN = 100
"""Frames that are read before the loop may do something else."""

CLOSED = End(1000, "closed", "closed by the application")


class Link:
    """
    The life of a client in one task, which is there from `start` until the end.

    :param listener: hears everything in order, and may speak at any time.
    """

    def __init__(self, options: Options, tokens: Tokens, listener: Listener) -> None:
        self._options = options
        self._tokens = tokens
        self._listener = listener
        self._returning = self._fresh()
        self._socket: Socket | None = None
        self._pulse: Pulse | None = None
        self._task: asyncio.Task[None] | None = None
        self._renewal = Renewal(tokens, self.now, listener)
        self._wake = asyncio.Event()
        self._may_return = asyncio.Event()
        self._may_return.set()
        self._is_overtaken = False
        self._skew = timedelta()
        self.opened: asyncio.Future[None] | None = None
        """Done when the link is open for the first time since `start`, or fails with what it was stopped by."""
        self.state: State = "idle"

    # -- what the client asks of it ----------------------------------------------------------------

    def start(self) -> asyncio.Future[None]:
        """Begin, unless it has begun; answers `opened`."""
        if self.opened is None or self.state in ("idle", "stopped"):
            self.opened = asyncio.get_running_loop().create_future()
            self._returning = self._fresh()
            self._tokens.begin()
            self._is_overtaken = False
            self._may_return.set()
            self.state = "connecting"
            self._task = asyncio.create_task(self._run(after=self._task), name="fairlead client")
        return self.opened

    async def stop(self) -> None:
        """Say 1000, and come back no more; nothing is left behind when this returns."""
        if self.state != "stopped":
            self._finish(CLOSED)
        # Of this run: another one may begin meanwhile.
        task, socket = self._task, self._socket
        try:
            if socket is not None:
                await socket.close()
        finally:
            if task is self._task:
                await self._renewal.end()
            await ended(task)
            if socket is self._socket:
                await self._let_go_of_socket()

    def say(self, frame: Frame, data: bytes | None = None) -> bool:
        """Send *frame*; False where there is no open connection, or a congested one."""
        if self.state != "open" or self._socket is None:
            return False
        self._say(self._socket, frame, data)
        return True

    @property
    def is_congested(self) -> bool:
        return self._socket is not None and self._socket.is_congested

    def check(self) -> None:
        """Look at once whether the connection still lives, or try at once (R3)."""
        self._wake.set()
        if self._pulse is not None:
            self._pulse.check()

    def let_go(self) -> None:
        """Hear nothing more before `go_on`, or `hurry`: there is too much to do already (M3)."""
        if not self._is_overtaken and self._socket is not None:
            self._is_overtaken = True
            self._may_return.clear()
            self._socket.abort(_OVERTAKEN)

    def hurry(self) -> None:
        """Come back before `go_on`: somebody waits for an answer, perhaps who is to do what there is too much of."""
        self._may_return.set()

    def come_back(self) -> None:
        """Come back for what is missing in a channel, and cannot be asked for (P3)."""
        if self._socket is not None:
            self._socket.abort(_HOLE)

    def go_on(self) -> None:
        """There is room again: come back, also from a connection of which most was not taken."""
        if self._is_overtaken:
            self._is_overtaken = False
            self._may_return.set()
            if self._socket is not None:
                self._socket.abort(_OVERTAKEN)

    def now(self) -> datetime:
        """The time by the gateway's clock, as far as it is known (O5)."""
        return datetime.now(UTC) + self._skew

    def _fresh(self) -> Returning:
        """A count that begins."""
        return Returning(self._options.backoff_min, self._options.backoff_max, renews=self._tokens.renews)

    @property
    def _is_over(self) -> bool:
        return self.state == "stopped"

    # -- one connection after the other ------------------------------------------------------------

    async def _run(self, after: asyncio.Task[None] | None) -> None:
        try:
            if after is not None:
                await asyncio.wait([after])
            await self._go_on_trying()
        except Exception as error:  # noqa: BLE001 - nobody waits for this task, only for what it comes to
            self._listener.failed(error)
            self._finish(End(0, "internal", str(error)))

    async def _go_on_trying(self) -> None:
        while True:
            self._returning.tries()
            self._change("connecting")
            end = await self._once()
            if self._is_over:
                return
            plan = self._plan(end)
            if not plan.comes_back:
                self._finish(end)
                return
            if plan.renews:
                self._tokens.refused()
            self._wake.clear()
            self._change("waiting", end, plan.seconds)
            await self._pause(plan.seconds)
            if self._is_over:
                return

    async def _once(self) -> End:
        """One try, and the connection that comes of it; how it ended."""
        try:
            token = await self._tokens.current(self.now().timestamp())
        except Exception as error:  # noqa: BLE001 - a fault of the application's function, whatever it is
            self._listener.failed(error)
            return End(0, "token_failed", str(error))
        if self._tokens.is_needed and not token:
            return _NO_TOKEN
        if self._is_over:
            return CLOSED
        try:
            async with asyncio.timeout(self._options.open_timeout):
                greeting = await self._enter(token)
        except TimeoutError:
            await self._let_go_of_socket()
            return _NO_GREETING
        except Ended as ended:
            await self._let_go_of_socket()
            return ended.end
        except BaseException:
            await self._let_go_of_socket()
            raise
        return await self._live(greeting, token)

    async def _enter(self, token: str) -> Frame:
        """Open a socket, and wait for the greeting."""
        # Here, not above: its library is there only with fairlead[client], and types of ours are wanted without.
        from fairlead.client.socket import Socket

        recover = self._listener.recover()
        waits = bool(recover or self._options.device_id or not token)
        socket = await Socket.open(self._options.url, token, msgpack=self._options.msgpack, waits=waits)
        self._socket = socket
        if waits:
            fields = given(recover=recover or None, device_id=self._options.device_id or None)
            self._say(socket, framed("connect", fields))
        while (frame := await self._hear(socket)).get("type") != "connection_established":
            pass
        return frame

    async def _live(self, greeting: Frame, token: str) -> End:
        socket = self._socket
        assert socket is not None
        end = CLOSED
        try:
            self._greet(socket, greeting)
            self._renewal.begin(token)
            for number in count(1):
                frame = await self._hear(socket)
                if self._pulse is not None:
                    self._pulse.heard()
                self._tell(self._listener.heard, frame)
                if not number % _TURN:
                    # What has come already is read without a pause: who handles it is to have a turn as well.
                    await asyncio.sleep(0)
        except Ended as ended:
            end = ended.end
        finally:
            if self._pulse is not None:
                self._pulse.stop()
                self._pulse = None
            socket.abort(end)
            await self._renewal.end()
            await self._let_go_of_socket()
        if not self._is_over:
            self._listener.broke(end)
        return end

    def _greet(self, socket: Socket, greeting: Frame) -> None:
        self._returning.opened(asyncio.get_running_loop().time())
        self._skew = _skew(greeting.get("server_time"))
        interval = self._options.heartbeat
        if interval is None:
            interval = _interval(greeting)
        self._pulse = Pulse(
            interval,
            self._options.pong_timeout,
            lambda: self._say(socket, {"action": "ping", "id": "still-there"}),
            lambda: socket.abort(_HALF_OPEN),
        )
        self._change("open")
        self._tell(self._listener.greeted, greeting)
        if self.opened is not None and not self.opened.done():
            self.opened.set_result(None)

    async def _hear(self, socket: Socket) -> Frame:
        while True:
            try:
                frame = await socket.hear()
            except (InvalidJson, InvalidMessage) as error:
                self._listener.failed(error)
                continue
            self._listener.passed("in", frame)
            return frame

    def _tell(self, hear: Callable[[Frame], None], frame: Frame) -> None:
        """A frame that is not as it should be costs itself alone."""
        try:
            hear(frame)
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            self._listener.failed(error)

    def _say(self, socket: Socket, frame: Frame, data: bytes | None = None) -> None:
        self._listener.passed("out", frame)
        socket.say(to_json(frame) if data is None else data)

    async def _let_go_of_socket(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.release()

    # -- between two of them -----------------------------------------------------------------------

    def _plan(self, end: End) -> Plan:
        plan = self._returning.after(end, asyncio.get_running_loop().time())
        if end is _NO_TOKEN:
            return Plan(comes_back=False)
        return Plan(comes_back=True) if end is _OVERTAKEN else plan

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        await self._may_return.wait()

    def _finish(self, end: End) -> None:
        """From now on nothing happens by itself."""
        error = error_of(end.word, end.text or f"the connection ended with {end.code} {end.word}", {"close": end.code})
        self._change("stopped", end)
        if self.opened is not None and not self.opened.done():
            self.opened.set_exception(error)
            # Whoever called connect() may have gone.
            self.opened.exception()
        self._listener.stopped(error)

    def _change(self, state: State, end: End | None = None, seconds: float = 0.0) -> None:
        self.state = state
        facts = end or End(0, "")
        self._listener.changed(StateChange(state, *facts, self._returning.attempts, seconds))


def _interval(greeting: Frame) -> float:
    """Seconds of silence after which the gateway wants to be asked; 0 where it does not say."""
    heartbeat = greeting.get("heartbeat")
    interval = heartbeat.get("interval") if isinstance(heartbeat, dict) else 0
    return float(interval) if isinstance(interval, int | float) else 0.0


def _skew(server_time: object) -> timedelta:
    """How far the gateway's clock is ahead of ours."""
    try:
        return datetime.fromisoformat(str(server_time)) - datetime.now(UTC)
    except (ValueError, TypeError):
        return timedelta()
