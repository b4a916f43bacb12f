"""Whether a revocation counts everywhere, and what it has ended (T5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead_gateway.admin.surveys import Found
from fairlead_gateway.sessions.replica import Replica


async def revoked(replica: Replica, about: Mapping[str, Any]) -> Found:
    """That a revocation counts here, and how many connections it has ended."""
    await replica.revoked.look()
    return {"closed": replica.revoked.closed(str(about.get("id")))}
