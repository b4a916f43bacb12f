"""WebSocketManager: one interface to a replica, in a process of its own or inside an application (CL-3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import structlog
from starlette.websockets import WebSocket

from fairlead.backend.questions import Questions
from fairlead.backend.sends import Message, Sends
from fairlead.format import past
from fairlead.format.envelope import Envelope
from fairlead.format.messages import SYSTEM
from fairlead.format.past import Past
from fairlead.names import Names, checked_channel
from fairlead.publishing.forms import Change
from fairlead.publishing.publication import Sayable
from fairlead.publishing.sent import Sent
from fairlead.state.instances import PATCH, Instance
from fairlead_gateway.assembly import Assembly, wire_limits
from fairlead_gateway.edge.application import CLIENTS, PAGED, Application
from fairlead_gateway.edge.guest import Guests
from fairlead_gateway.facts.history import told
from fairlead_gateway.plugins import Plugin, named
from fairlead_gateway.pool import ConnectionInfo
from fairlead_gateway.preflight import advice, shows_all
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.demo import demo_routes
from fairlead_gateway.rest.routing import all_routes, routes_of_clients
from fairlead_gateway.server import ServerTask, admin_config, server_config
from fairlead_gateway.sessions.context import Context
from fairlead_gateway.sessions.events import EventHandler
from fairlead_gateway.sessions.handlers import Handler, Middleware
from fairlead_gateway.settings import Settings

log = structlog.get_logger(__name__)

Sending: TypeAlias = Coroutine[Any, Any, Sent]


class WebSocketManager(Sends[Sending], Questions):
    """
    ConnectionPool, MessageDispatcher and ConnectionMonitor behind one interface.

    ::

        manager = WebSocketManager(settings)
        app = FastAPI(lifespan=manager.lifespan)
        app.mount("/", manager.app)

    Everything that sends goes through Redis, and so reaches every replica. Handlers, middleware and plugins are
    registered before the start. The method names of the source documents are kept.
    """

    def __init__(self, settings: Settings | None = None, *, host: str | None = None, port: int | None = None) -> None:
        given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
        self.settings = (settings or Settings()).model_copy(update=given)
        super().__init__(SYSTEM, Names(self.settings.prefix))
        self._parts = Assembly(self.settings)
        self._asks = self._parts.asks
        self._policy = self.settings.ask_policy
        replica = self._parts.replica
        super().__init__(SYSTEM, replica.names, self.settings.state_ttl_seconds)
        self.replica_id = replica.id
        self.pool = replica.pool
        self.dispatcher = self._parts.dispatcher
        self.monitor = self._parts.administration.monitor
        check_open = self._parts.endpoint.check_open
        self._guests = Guests(replica, self._parts.receiver, wire_limits(self.settings), check_open)
        self._server: ServerTask | None = None
        self._admin_server: ServerTask | None = None
        api = Api(
            replica,
            self._parts.administration,
            self._parts.tickets,
            self._parts.receipts,
            self,
            self,
            lambda: self._parts.leaves.wait(),
            self._parts.readiness,
        )
        endpoint = self._parts.endpoint
        self.admin_app = Application(endpoint, all_routes(api), self.lifespan, PAGED)
        """Everything: for a listener, or below a path, that operators alone can reach."""
        routes, paths = (all_routes, PAGED) if shows_all(self.settings) else (routes_of_clients, CLIENTS)
        self.app = Application(endpoint, [*routes(api), *demo_routes(self.settings, api)], self.lifespan, paths)
        """What clients use; on a loopback ``host`` without an ``admin_port``, what operators use as well."""
        for plugin in named(self.settings.plugins):
            self.install(plugin)

    # -- life ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Run the replica for as long as the application runs; entered twice (mounted, and outside), it runs once."""
        if self._parts.is_running:
            yield
            return
        await self._parts.start()
        try:
            yield
        finally:
            await self._parts.stop()

    async def start_server(self) -> ServerTask:
        """Serve `app` on the host and port of the settings, inside this event loop; `admin_app` on those for it."""
        limits = wire_limits(self.settings)
        self._server = await ServerTask.start(server_config(self.app, self.settings, limits))
        if self.settings.admin_port:
            self._admin_server = await ServerTask.start(admin_config(self.admin_app, self.settings, limits))
        self.advise()
        return self._server

    async def stop_server(self) -> None:
        """Move every connection elsewhere, as `drain` does, and end what `start_server` began."""
        server, self._server = self._server, None
        admin_server, self._admin_server = self._admin_server, None
        if server is not None:
            await self.drain()
            await server.stop()
        if admin_server is not None:
            await admin_server.stop()

    def advise(self) -> None:
        """Say in the log what is unusual about who can see what."""
        for rule in advice(self.settings):
            log.warning("settings", rule=rule.name, advice=rule.sentence)

    def turn_away(self) -> None:
        """Let ``/readyz`` say no, while clients are still let in and served: the first step of a drain."""
        self._parts.turn_away()

    async def drain(self) -> None:
        """Send every client elsewhere with 4200, evenly over ``drain_seconds``, and let nobody in (DEP-4)."""
        await self._parts.drain()

    # -- connections -----------------------------------------------------------------------------

    async def connect(self, websocket: WebSocket, instance_name: str = "", **who: Any) -> str:
        """
        Accept a socket of your own route and sit it in an instance; you go on reading it yourself.

        :param who: ``user_id``, ``session_id`` and ``metadata``, if your application knows them; without a user the
            connection is anonymous.
        :returns: the connection id.
        :raises RuntimeError: refused (too many connections, or the replica drains); the socket has been closed with the
            code that says why.
        """
        return await self._guests.connect(websocket, instance_name, **who)

    def disconnect(self, websocket: WebSocket, instance_name: str = "") -> None:
        """Forget a socket that `connect` accepted; harmless when it is forgotten already."""
        self._guests.disconnect(websocket)

    async def serve(self, websocket: WebSocket, *, instance_name: str = "", session_id: str = "") -> None:
        """Take a socket of your own route over completely: credentials, protocol, actions, until it ends."""
        websocket.scope["path_params"] = {"name": instance_name, "session_id": session_id}
        await self._parts.endpoint(websocket.scope, websocket.receive, websocket.send)

    async def handle_message(self, websocket: WebSocket, data: str | bytes) -> None:
        """Treat *data*, which you read from a socket that `connect` accepted, as an action of the protocol."""
        self._guests.hear(websocket, data)

    def connections(self) -> list[ConnectionInfo]:
        """Every connection of this replica."""
        return [connection.info(self.replica_id) for connection in self.pool]

    # -- sending: see `fairlead.backend.sends.Sends`; all of it goes through Redis, to every replica ----------

    def _say(self, channel: str, said: Sayable) -> Sending:
        replica = self._parts.replica
        if isinstance(said, Change) and said.form is PATCH:
            return replica.instances.change(channel, said)
        return replica.publisher.publish(channel, said)

    def _say_after(self, first: tuple[str, Sayable], channel: str, said: Sayable) -> Sending:
        return self._parts.replica.publisher.publish_after(first, channel, said)

    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Sending:
        return self._parts.receipts.send(channel, envelope, ack_seconds)

    async def send_message(self, instance_name: str, message: Message) -> Sent:
        """`send_to_instance` by its older name."""
        return await self.send_to_instance(instance_name, message)

    async def broadcast_message(self, message: Message) -> Sent:
        """`broadcast` by its older name."""
        return await self.broadcast(message)

    async def send_patch(  # type: ignore[override]
        self,
        instance_name: str,
        patch: Message,
        patch_id: str | int | None = None,
        base_version: int | None = None,
        *,
        unset: Iterable[str] = (),
    ) -> bool:
        """As everywhere, but as the source documents have it: whether any replica had somebody in the instance."""
        return await self.dispatcher.send_patch(instance_name, patch, patch_id, base_version, unset=unset)

    async def get_instance(self, instance_name: str) -> Instance:
        """The document of an instance, and its version; version 0 and an empty one where there is none."""
        return (await self._parts.replica.instances.read(instance_name)).instance()

    async def history(self, channel: str, limit: int = past.PAGE, before: int | None = None) -> Past:
        """As `fairlead.backend.backend.Backend.history`."""
        replica = self._parts.replica
        past.ensure_kept(checked_channel(channel), replica.publisher.is_durable(channel))
        return told(await replica.history.page(channel, limit, before))

    async def send_heartbeat(self, user_id: str, task_id: str, interval: float = 30.0) -> None:
        """Tell a user every *interval* seconds that a task is still running, until cancelled."""
        while True:
            await self.send_to_user(user_id, {"type": "heartbeat", "task_id": task_id, "status": "alive"})
            await asyncio.sleep(interval)

    # -- handlers and events -----------------------------------------------------------------------

    def register_handler(self, name: str, handler: Handler[Context]) -> None:
        """Answer the action *name* and hear messages of the type *name*: ``async def handler(message, context)``."""
        self._parts.replica.handlers.register(name, handler)

    def use(self, middleware: Middleware[Context]) -> None:
        """Put ``async def middleware(message, context, call_next)`` round every action."""
        self._parts.replica.handlers.use(middleware)

    def install(self, plugin: Plugin) -> None:
        """Let *plugin* register what it brings."""
        plugin.install(self)

    def on(self, event: str, handler: EventHandler) -> None:
        """Call *handler* with a dictionary of facts whenever *event* happens on this replica."""
        self._parts.replica.events.on(event, handler)

    def add_event_handler(self, event: str, handler: EventHandler) -> None:
        """`on` by its older name."""
        self.on(event, handler)

    # -- figures of this replica -------------------------------------------------------------------

    def get_connection_count(self, instance_name: str | None = None) -> int:
        """Connections here, of one instance or all."""
        return self.pool.count(instance_name)

    def get_total_connections(self) -> int:
        return len(self.pool)

    def get_stats(self) -> dict[str, int]:
        """The ten figures of the source documents."""
        return self.monitor.get_stats()

    def get_instance_stats(self, instance_name: str | None = None) -> dict[str, Any]:
        return self.monitor.get_instance_stats(instance_name)

    def list_active_instances(self) -> Sequence[str]:
        return self.monitor.list_active_instances()

    def health_check(self) -> dict[str, Any]:
        """Whether this replica is well, and what is not."""
        checks = self._parts.readiness()
        status = "healthy" if all(checks.values()) else "unhealthy"
        return {**self.monitor.health_check(), "status": status, "checks": checks}

    def get_status(self) -> dict[str, Any]:
        """What this replica is doing."""
        return {
            "running": self._parts.is_running,
            "replica": self.replica_id,
            "host": self.settings.host,
            "port": self._server.port if self._server is not None else self.settings.port,
            "active_connections": len(self.pool),
            "channels": sum(1 for _ in self.pool.channels()),
        }
