"""The endpoint of every ``/ws`` path: from an upgrade request to a live connection, or to a readable close code."""

from __future__ import annotations

from random import Random

from starlette.types import Receive, Scope, Send

from fairlead import codes
from fairlead.errors import InvalidMessage, Unavailable
from fairlead.ids import uuid7
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.access.tickets import Tickets
from fairlead_gateway.edge.adapter import AsgiSocket, take_socket
from fairlead_gateway.edge.credentials import Kind, Opening, read_opening
from fairlead_gateway.edge.lobby import Lobby, Visitor
from fairlead_gateway.edge.origin import Origins
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.pool.moves import delay_ms
from fairlead_gateway.pool.socket import Socket
from fairlead_gateway.sessions import leaving, opening
from fairlead_gateway.sessions.draining import Seated, move
from fairlead_gateway.sessions.frames import Connect
from fairlead_gateway.sessions.opening import Place, Refused
from fairlead_gateway.sessions.receiver import Receiver
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.wire.limits import WireLimits


class Endpoint:
    """
    Lets clients in. One serves all paths; what differs is the `Place` that the path puts them in.

    Refusals after a valid upgrade are accepted and then closed, so that browsers can read why.
    """

    def __init__(self, replica: Replica, receiver: Receiver, tickets: Tickets, limits: WireLimits) -> None:
        self._replica = replica
        self._receiver = receiver
        self._tickets = tickets
        self._limits = limits
        self._origins = Origins(replica.settings.allowed_origins)
        self._lobby = Lobby(replica, receiver, self._enter_from_lobby)
        self.is_open = True
        """False while the replica drains: newcomers are sent elsewhere."""
        self._random = Random()

    async def drain(self, window_seconds: float) -> None:
        """Let nobody in any more, and send everybody elsewhere in the course of *window_seconds* (DEP-4)."""
        self.is_open = False
        # Who is being let in is not among them, and is sent elsewhere by whoever lets it in.
        seated = [Seated(self._replica, connection) for connection in self._replica.pool if connection.is_live]
        await move([*seated, *self._lobby.visitors], window_seconds, self._random)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        opened = read_opening(scope, allow_query_token=self._replica.settings.allow_query_token)
        socket = take_socket(scope, receive, send, self._limits, opened.subprotocol)
        try:
            await self._let_in(scope, send, socket, opened)
        except Refused as refused:
            leaving.refused(self._replica, refused.close, refused.text, socket.remote)
            await _accept(send, opened)
            socket.close(refused.close.code, refused.close.reason(refused.text))
        if isinstance(socket, AsgiSocket):
            await socket.run()

    async def _let_in(self, scope: Scope, send: Send, socket: Socket, opened: Opening) -> None:
        self._check_door(scope)
        place = _place(scope)
        identity = await self._identity(opened)
        if identity is None or opened.waits:
            await _accept(send, opened)
            visitor = self._lobby.wait(socket, identity, place)
            if not self.is_open:
                visitor.close(codes.DRAIN, self._delay())
            return
        format = Format.of(opened.subprotocol, socket.deflates)
        greeting = await opening.open_connection(self._replica, socket, format, identity, place, {})
        try:
            # Not before: accepted and greeted at once, a client hears both in one packet.
            await _accept(send, opened)
        except BaseException:
            leaving.gone(self._replica, greeting.connection, 1006, "left while entering")
            raise
        self._welcome(socket, greeting)

    # -- who is it -------------------------------------------------------------------------------

    def _check_door(self, scope: Scope) -> None:
        self.check_open()
        if not self._origins.allow_scope(scope, has_pages="pages" in scope.get("path_params", {})):
            raise Refused(codes.FORBIDDEN, "this origin may not connect; see FAIRLEAD_ALLOWED_ORIGINS")

    def check_open(self) -> None:
        """:raises Refused: the replica drains, come back elsewhere after a pause."""
        if not self.is_open:
            raise Refused(codes.DRAIN, self._delay())

    def _delay(self) -> str:
        return str(delay_ms(self._replica.settings.drain_seconds, self._random))

    async def _identity(self, opened: Opening) -> Identity | None:
        """Who it is; None to wait for the first frame."""
        if opened.kind != "none":
            return await self._believe(opened.kind, opened.credential)
        if opened.refused_query_token:
            raise Refused(codes.TOKEN_EXPIRED, "?token= is switched off; use the bearer subprotocol or a ticket")
        return _anonymous() if self._replica.settings.allow_anonymous else None

    async def _believe(self, kind: Kind, value: str) -> Identity:
        try:
            if kind == "ticket":
                return await self._tickets.redeem(value)
            return await self._replica.verifier.identify(value)
        except TokenRejected as error:
            raise Refused(codes.TOKEN_EXPIRED if error.expired else codes.FORBIDDEN, error.message) from None
        except Unavailable as error:
            raise Refused(codes.INTERNAL_ERROR, error.message) from None

    # -- coming in -------------------------------------------------------------------------------

    async def _enter_from_lobby(self, visitor: Visitor, frame: Connect) -> Connection | None:
        """The first frame of a client that came without credentials, or wanted to recover before going live."""
        try:
            self.check_open()
            named = await self._named(visitor.identity, frame)
            identity = named.on_device(frame.device_id or "")
            socket, place = visitor.socket, visitor.place
            format = Format.of(socket.subprotocol, socket.deflates)
            greeting = await opening.open_connection(
                self._replica, socket, format, identity, place, frame.recover, frame.id
            )
        except Refused as refused:
            visitor.close(refused.close, refused.text)
            return None
        self._welcome(socket, greeting)
        return greeting.connection

    async def _named(self, identity: Identity | None, frame: Connect) -> Identity:
        """Whom a ``connect`` frame speaks for, on top of what the upgrade said."""
        if frame.token is None:
            if identity is None:
                raise Refused(codes.TOKEN_EXPIRED, "token missing: send connect with a token")
            return identity
        named = await self._believe("token", frame.token)
        if identity is not None and not identity.anonymous and named.user_id != identity.user_id:
            raise Refused(codes.FORBIDDEN, "the token in connect belongs to another user")
        return named

    def _welcome(self, socket: Socket, greeting: opening.Greeting) -> None:
        """Let the connection go live; who came in as the replica began to drain is sent elsewhere."""
        connection = greeting.connection
        if not self.is_open:
            leaving.end(self._replica, connection, codes.DRAIN, self._delay())
            return
        opening.go_live(self._replica, greeting)
        socket.attach(self._receiver, connection)
        if connection.joined:
            opening.settle(self._replica, greeting)


async def _accept(send: Send, opened: Opening) -> None:
    await send({"type": "websocket.accept", "subprotocol": opened.subprotocol})


def _anonymous() -> Identity:
    return Identity(user_id=f"anonymous-{uuid7()}", anonymous=True)


def _place(scope: Scope) -> Place:
    parameters = scope.get("path_params", {})
    place = Place(parameters.get("session_id", ""), parameters.get("name", ""), parameters.get("monitor", ""))
    try:
        place.channels  # noqa: B018
    except InvalidMessage as error:
        raise Refused(codes.BAD_REQUEST, error.message) from None
    return place
