"""The settings that a command works with: the environment's, or those of a running ``fairlead dev``."""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError

from fairlead.redis.address import shown
from fairlead_gateway.cli.devfile import DevServer, find
from fairlead_gateway.cli.output import Status, Trouble, note
from fairlead_gateway.settings import PREFIX, Settings


def load(**overrides: Any) -> Settings:
    """
    Settings of the environment, with *overrides* that are not None.

    :raises Trouble: which variable is wrong, and how.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise Trouble("; ".join(_complaints(error)), Status.CONFIGURATION) from error
    except OSError as error:
        raise Trouble(f"cannot read the file of a setting: {error}", Status.CONFIGURATION) from error


def _complaints(error: ValidationError) -> list[str]:
    return [f"{_variable(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors(include_input=False)]


def _variable(field: str) -> str:
    return field if field.isupper() else f"{PREFIX}{field.upper()}"


def is_set(field: str) -> bool:
    """Whether the environment says something about *field*."""
    return any(f"{PREFIX}{field.upper()}{suffix}" in os.environ for suffix in ("", "_FILE"))


def redis_address() -> str:
    """Where Redis is looked for, for people: without a password."""
    server = None if is_set("redis_url") else find()
    return shown(server.redis_url if server else load().redis_url.get_secret_value())


def reachable() -> tuple[Settings, DevServer | None]:
    """Settings to reach the gateway with, and the development server if they are its."""
    server = None if is_set("redis_url") else find()
    if server is None:
        return load(), None
    note(f"using the server that fairlead dev (process {server.pid}) runs; set {PREFIX}REDIS_URL to use another")
    theirs = {"redis_url": server.redis_url, "prefix": server.prefix, "jwt_secret": server.secret}
    return load(**{name: value for name, value in theirs.items() if not is_set(name)}), server
