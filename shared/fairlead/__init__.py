"""Send to users, sessions and topics through Fairlead, from any Python process."""

from __future__ import annotations
