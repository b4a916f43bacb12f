"""Who is connected to this replica, and in which channel. Pure: no loop, no clock, no Redis."""

from fairlead_gateway.pool.connection import Connection, ConnectionInfo
from fairlead_gateway.pool.formats import Format
from fairlead_gateway.pool.pool import ConnectionPool

__all__ = ["Connection", "ConnectionInfo", "ConnectionPool", "Format"]
