"""``config``: the settings of the replica that answers, with what is secret left out (T18)."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, get_origin

from pydantic.fields import FieldInfo

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.route import Asked, Nothing, Params, Rows, View, row
from fairlead_gateway.settings import Settings

OPEN: Final = frozenset(
    (
        *(
            "host",
            "admin_host",
            "prefix",
            "replica",
            "forwarded_allow_ips",
            "allowed_origins",
            "demo",
            "plugins",
            "insecure",
        ),
        *("jwt_algorithms", "jwt_audience", "jwt_issuer", "durable", "events", "forwarded_actions"),
        *("viewer_roles", "operator_roles", "admin_roles", "task_operator_roles"),
    )
)
"""Texts that may be shown. Numbers, switches and choices may; every other text is taken for a secret."""

ADDRESSES: Final = frozenset({"jwt_jwks_url", "authorizer_url"})
"""Of these only scheme and host are shown: a key may stand in whatever else there is."""


class Setting(View):
    """One setting."""

    name: str
    value: Any
    """``set`` or ``not set`` for a secret."""
    is_secret: bool
    is_default: bool
    about: str


class Configuration(View):
    """All settings of one replica."""

    replica: str
    settings: list[Setting]


async def get_config(asked: Asked[Params, Nothing]) -> Configuration:
    """The settings of the replica that answers; secrets are left out."""
    settings = asked.api.replica.settings
    fields = Settings.model_fields.items()
    return Configuration(
        replica=asked.api.replica.id,
        settings=[shown(name, field, getattr(settings, name)) for name, field in fields],
    )


def shown(name: str, field: FieldInfo, value: Any) -> Setting:
    """A setting as administrators may see it."""
    is_open = isinstance(value, (bool, int, float)) or get_origin(field.annotation) is Literal or name in OPEN
    is_address = name in ADDRESSES
    return Setting(
        name=name,
        value=value if is_open else _origin(value) if is_address else "set" if value else "not set",
        is_secret=not is_open and not is_address,
        is_default=value == field.default,
        about=" ".join((field.description or "").split()),
    )


def _origin(url: str) -> str:
    """``https://login.example:8443/…`` of an address that has more to it than that."""
    scheme, mark, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    origin = f"{scheme}{mark}{host.rpartition('@')[2]}"
    return origin if origin == url else origin + "/…"


ROWS: Final[Rows] = (row("GET", "/config", Rank.ADMIN, get_config, answer=Configuration),)
