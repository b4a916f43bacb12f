"""A plugin, as an operator names it in the settings."""

from __future__ import annotations

from fairlead_gateway import WebSocketManager


class Greeter:
    """Answers ``greet``."""

    def install(self, manager: WebSocketManager) -> None:
        manager.register_handler("greet", lambda message, context: {"greeting": f"hello {context.user_id}"})


greeter = Greeter()
