"""Django Channels with the layer that its documentation recommends (channels_redis.core), served by uvicorn."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead_gateway.bench import frames, stamps
from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.orders import Opening, Role
from fairlead_gateway.bench.publisher import Sender
from fairlead_gateway.bench.stamps import Template
from tests.bench.peers.peer import missing_modules, start_uvicorn

if TYPE_CHECKING:
    from channels_redis.core import RedisChannelLayer  # type: ignore[import-untyped]

_GROUP = "bench"


def make_app() -> Any:
    """The consumer of the tutorial, without its chat; ASGI applications have no type that Channels agrees with."""
    from django.conf import settings  # type: ignore[import-untyped]

    settings.configure(
        CHANNEL_LAYERS={
            "default": {
                "BACKEND": "channels_redis.core.RedisChannelLayer",
                "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
            }
        }
    )
    from channels.generic.websocket import AsyncWebsocketConsumer  # type: ignore[import-untyped]
    from channels.routing import ProtocolTypeRouter  # type: ignore[import-untyped]
    from starlette.responses import Response

    class Listener(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.channel_layer.group_add(_GROUP, self.channel_name)
            await self.accept()

        async def bench_message(self, event: dict[str, str]) -> None:
            await self.send(text_data=event["text"])

    return ProtocolTypeRouter({"http": Response(), "websocket": Listener.as_asgi()})


class GroupSender:
    """Publishes as a Django application does, by ``group_send``."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._template = Template.around(stamps.payload(size))

    def connect(self) -> None:
        from channels_redis.core import RedisChannelLayer

        self._loop = asyncio.new_event_loop()
        self._layer: RedisChannelLayer = RedisChannelLayer(hosts=[self._url])

    def send(self, count: int) -> None:
        for _ in range(count):
            message = {"type": "bench.message", "text": self._template.stamped().decode()}
            self._loop.run_until_complete(self._layer.group_send(_GROUP, message))

    def finish(self) -> None:
        """Every `send` has waited for its answer."""


@dataclass(frozen=True)
class ChannelsLayer:
    name: str = "channels"

    def missing(self) -> str:
        return missing_modules("channels", "channels_redis", "django", "uvicorn")

    def start(self, ground: Ground) -> Server:
        return start_uvicorn(ground, f"{__name__}:make_app")

    def listener(self, port: int, number: int, role: Role) -> Opening:
        return Opening(frames.upgrade(port, "/ws", {}), (), role)

    def sender(self, ground: Ground, size: int) -> Sender:
        return GroupSender(ground.store.url, size)

    def frame_bytes(self, size: int) -> int:
        return frames.server_frame_bytes(size)
