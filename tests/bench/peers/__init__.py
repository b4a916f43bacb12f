"""Other servers as targets of the same load, each in the shape that its own documentation shows."""

from __future__ import annotations

from typing import Final

from tests.bench.peers.channels_layer import ChannelsLayer
from tests.bench.peers.nchan import Nchan
from tests.bench.peers.peer import Peer
from tests.bench.peers.socketio_room import SocketIoRoom
from tests.bench.peers.starlette_loop import StarletteLoop

PEERS: Final[tuple[Peer, ...]] = (Nchan(), StarletteLoop(), SocketIoRoom(), ChannelsLayer())
