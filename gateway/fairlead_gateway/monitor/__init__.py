"""What can be counted on this replica."""

from fairlead_gateway.monitor.counters import Counters
from fairlead_gateway.monitor.monitor import ConnectionMonitor

__all__ = ["ConnectionMonitor", "Counters"]
