"""
Nchan, nginx's publish-and-subscribe module, with Redis between the node that is published to and the one measured.

Nchan writes to Redis in a format of its own, so messages go by HTTP to a first nginx, which is not measured; the
second one gets them from Redis and sends them to its subscribers.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fairlead_gateway.bench import frames, stamps
from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.orders import Opening, Role
from fairlead_gateway.bench.publisher import Sender, SocketSender
from fairlead_gateway.bench.stamps import InTurn, Template
from fairlead_gateway.embedded import free_port

_MODULES = (Path("/usr/lib/nginx/modules/ngx_nchan_module.so"), Path("/usr/lib64/nginx/modules/ngx_nchan_module.so"))

_CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
worker_rlimit_nofile 60000;
pid {directory}/{port}.pid;
error_log {directory}/{port}.error error;
events {{ worker_connections 30000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/{port}-body;
    proxy_temp_path {directory}/{port}-proxy;
    fastcgi_temp_path {directory}/{port}-fastcgi;
    uwsgi_temp_path {directory}/{port}-uwsgi;
    scgi_temp_path {directory}/{port}-scgi;
    keepalive_requests 100000000;
    client_body_in_single_buffer on;
    nchan_shared_memory_size 256M;
    nchan_redis_url "{redis}";
    nchan_use_redis on;
    nchan_message_buffer_length 64;
    nchan_message_timeout 5s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /publish {{ nchan_publisher http; nchan_channel_id bench; }}
        location = /ws {{ nchan_subscriber websocket; nchan_channel_id bench; nchan_subscriber_first_message newest; }}
        location = /ready {{ return 204; }}
    }}
}}
"""


@dataclass(frozen=True)
class Nchan:
    name: str = "nchan"

    def missing(self) -> str:
        if not shutil.which("nginx"):
            return "nginx"
        return "" if any(module.exists() for module in _MODULES) else "nginx's nchan module"

    def start(self, ground: Ground) -> Server:
        port, child = _nginx(ground, measured=True)
        return ground.serving(child, port, "/ready")

    def listener(self, port: int, number: int, role: Role) -> Opening:
        return Opening(frames.upgrade(port, "/ws", {}), (), role)

    def sender(self, ground: Ground, size: int) -> Sender:
        port, child = _nginx(ground, measured=False)
        ground.serving(child, port, "/ready")
        head = f"POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n".encode()
        return SocketSender(
            "127.0.0.1", port, InTurn([Template.around(head + stamps.payload(size))]), answer=b"HTTP/1.1 2", window=16
        )

    def frame_bytes(self, size: int) -> int:
        return frames.server_frame_bytes(size)


def _nginx(ground: Ground, *, measured: bool) -> tuple[int, subprocess.Popen[bytes]]:
    port = free_port()
    module = next(module for module in _MODULES if module.exists())
    configuration = ground.directory / f"{port}.nginx"
    configuration.write_text(
        _CONFIGURATION.format(module=module, directory=ground.directory, port=port, redis=ground.store.url)
    )
    return port, ground.spawn(["nginx", "-c", str(configuration), "-e", "stderr"], {}, measured=measured)
