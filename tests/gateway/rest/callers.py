"""Who may call the HTTP interface: each rank, and those who have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import jwt

from fairlead_gateway.access.roles import Rank
from tests.support.replica import SECRET, token

ROLES: Final[Mapping[Rank, str]] = {
    Rank.USER: "",
    Rank.VIEWER: "viewer",
    Rank.OPERATOR: "operator",
    Rank.ADMIN: "admin",
}


def headers_of(rank: Rank) -> dict[str, str]:
    """What somebody of *rank* sends."""
    return {"Authorization": f"Bearer {token(f'u-{rank.name.lower()}', role=ROLES[rank])}"}


STRANGERS: Final[Mapping[str, dict[str, str]]] = {
    "nobody": {},
    "a foreign token": {"Authorization": headers_of(Rank.ADMIN)["Authorization"][:-8] + "AAAAAAAA"},
    "an expired token": {"Authorization": f"Bearer {jwt.encode({'sub': 'u', 'role': 'admin', 'exp': 1}, SECRET)}"},
    "another scheme": {"Authorization": headers_of(Rank.ADMIN)["Authorization"].replace("Bearer", "Basic")},
    "a bare token": {"Authorization": headers_of(Rank.ADMIN)["Authorization"].removeprefix("Bearer ")},
    "no token": {"Authorization": "Bearer"},
}
"""Callers who are nobody, by what they send."""
