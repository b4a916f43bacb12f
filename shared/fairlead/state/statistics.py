"""Statistics of the fleet as its overseer wrote them down last (ADM-3)."""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import TypedDict

from fairlead.errors import InvalidJson
from fairlead.format.codec import from_json
from fairlead.names import Names
from fairlead.redis.query import Query, pairs


class Ten(TypedDict):
    """What is counted, by the names of the source documents; also the order in which it is written down."""

    total_connections: int
    active_connections: int
    messages_sent: int
    messages_received: int
    disconnections: int
    errors: int
    active_users: int
    active_sessions: int
    total_user_connections: int
    total_session_connections: int


TEN: Final = tuple(Ten.__annotations__)


def latest(names: Names) -> Query[dict[str, int]]:
    """The ten figures of all replicas together, as of a second ago; all of them 0 where nobody has counted yet."""
    return Query([("XREVRANGE", names.stats_history, "+", "-", "COUNT", "1")], _figures)


def _figures(replies: list[Any]) -> dict[str, int]:
    entries = list(replies[0].items() if isinstance(replies[0], dict) else replies[0])
    figures = _written(dict(pairs(entries[0][1])).get(b"sample", b"")) if entries else []
    return dict(zip(TEN, [*figures, *[0] * len(TEN)], strict=False))


def _written(sample: bytes) -> list[int]:
    """The figures in a sample; none where nobody of ours wrote it."""
    try:
        match from_json(sample):
            case {"figures": list(figures)} if all(isinstance(figure, int) for figure in figures):
                return figures
    except InvalidJson:
        pass  # As what is of another shape.
    return []
