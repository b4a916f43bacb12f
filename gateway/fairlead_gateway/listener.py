"""The socket that a replica listens on: bound before anything else starts, so that a taken port is told in one line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

import structlog

log = structlog.get_logger(__name__)

UNACKNOWLEDGED_MS: Final = 20_000
"""How long a client's machine may leave our bytes unacknowledged, or its window shut, before the kernel hangs up."""


class PortTaken(Exception):
    """Another process listens there already."""

    def __init__(self, host: str, port: int, setting: str) -> None:
        option = "--port" if setting == "PORT" else f"FAIRLEAD_{setting}"
        super().__init__(f"port {port} on {host} is taken: stop what listens there, or choose another with {option}")
        self.port = port


def listening_socket(host: str, port: int, *, shared: bool = False, setting: str = "PORT") -> socket.socket:
    """
    A socket bound to *host* and *port*; *shared* with other replicas by the kernel, which spreads connections.

    :param setting: that says which port, for messages.
    :raises PortTaken: somebody else has it.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Accepted sockets inherit it; without it a client that never reads holds its connection for ever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise PortTaken(host, port, setting) from error
    return listener


def waiting_in(listener: socket.socket, most: int) -> Iterator[socket.socket]:
    """Accept those who wait in *listener* now, up to *most*, for the event loop to talk to."""
    listener.setblocking(False)
    for _ in range(most):
        try:
            client, _ = listener.accept()
        except ConnectionAbortedError:
            continue  # left while waiting
        except BlockingIOError:
            return
        except OSError as error:
            log.warning("not all who waited were accepted", why=str(error))
            return
        yield client
