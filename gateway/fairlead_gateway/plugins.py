"""Plugins: named in the settings, found by import, installed before the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol, cast


class Plugin(Protocol):
    """Something that registers handlers, middleware and event handlers of its own."""

    def install(self, manager: Any) -> None:
        """Register with *manager*, a `fairlead_gateway.WebSocketManager` that has not started yet."""


def named(paths: Sequence[str]) -> Iterator[Plugin]:
    """
    The plugins called ``package.module:name``.

    :raises ValueError: one cannot be found; says which, and why.
    """
    for path in paths:
        module, _, name = path.partition(":")
        try:
            plugin = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"FAIRLEAD_PLUGINS: {path!r} is not package.module:name of a plugin ({error})") from error
        yield cast(Plugin, plugin)
