"""Statistics of the fleet as its overseer wrote them down last (ADM-3)."""

from __future__ import annotations

from typing import Any, Final

from fairlead.codec import from_json
from fairlead.errors import InvalidJson
from fairlead.names import Names
from fairlead.presence import Query

TEN: Final = (
    "total_connections",
    "active_connections",
    "messages_sent",
    "messages_received",
    "disconnections",
    "errors",
    "active_users",
    "active_sessions",
    "total_user_connections",
    "total_session_connections",
)
"""What is counted, by the names of the source documents; also the order in which it is written down."""


def latest(names: Names) -> Query[dict[str, int]]:
    """The ten figures of all replicas together, as of a second ago; all of them 0 where nobody has counted yet."""
    return Query([("XREVRANGE", names.stats_history, "+", "-", "COUNT", "1")], _figures)


def _figures(replies: list[Any]) -> dict[str, int]:
    figures: list[int] = []
    for _, (_, sample) in replies[0]:
        try:
            match from_json(sample):
                case {"figures": list(values)} if all(isinstance(value, int) for value in values):
                    figures = values
        except InvalidJson:
            pass  # Nobody of ours wrote that; nothing is known.
    return dict(zip(TEN, [*figures, *[0] * len(TEN)], strict=False))
