"""Handlers and middleware that applications bring (MSG-4)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

Context = TypeVar("Context")
"""What handlers are given beside the message: a `fairlead_gateway.sessions.context.Context`."""

Handler = Callable[[dict[str, Any], Context], Awaitable[Any] | Any]
"""Takes the client's map and the context; what it returns becomes the reply."""

Next = Callable[[dict[str, Any], Context], Awaitable[Any]]
Middleware = Callable[[dict[str, Any], Context, Next[Context]], Awaitable[Any]]
"""Sees every action but the heartbeat before it is done, and its result after; refuses by raising a `FairleadError`."""


class Handlers(Generic[Context]):
    """Handlers by the name of an action or the ``message_type`` of a message, and the middleware round all actions."""

    def __init__(self, reserved: frozenset[str]) -> None:
        """:param reserved: names of built-in actions, which nobody may take."""
        self._reserved = reserved
        self._handlers: dict[str, Handler[Context]] = {}
        self._middleware: list[Middleware[Context]] = []

    def register(self, name: str, handler: Handler[Context]) -> None:
        """
        Let *handler* answer the action *name*, and hear messages of the type *name*.

        :raises ValueError: the name belongs to a built-in action.
        """
        if name in self._reserved:
            raise ValueError(f"{name} is a built-in action; choose another name, or use middleware")
        self._handlers[name] = handler

    def use(self, middleware: Middleware[Context]) -> None:
        """Put *middleware* inside those that were there before."""
        self._middleware.append(middleware)

    def get(self, name: str) -> Handler[Context] | None:
        return self._handlers.get(name)

    def around(self, innermost: Next[Context]) -> Next[Context]:
        """*innermost* with all middleware round it, the first registered outermost."""
        call = innermost
        for middleware in reversed(self._middleware):
            call = _wrapped(middleware, call)
        return call


def _wrapped(middleware: Middleware[Context], inner: Next[Context]) -> Next[Context]:
    async def call(message: dict[str, Any], context: Context) -> Any:
        return await middleware(message, context, inner)

    return call


async def answer(handler: Handler[Context], message: dict[str, Any], context: Context) -> Any:
    """What *handler*, plain or async, has to say to *message*."""
    result = handler(message, context)
    return await result if inspect.isawaitable(result) else result
