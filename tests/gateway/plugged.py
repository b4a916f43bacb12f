"""A plugin, as an operator names it in the settings."""

from __future__ import annotations

import time

from fairlead_gateway import WebSocketManager


class Greeter:
    """Answers ``greet``."""

    def install(self, manager: WebSocketManager) -> None:
        manager.register_handler("greet", lambda message, context: {"greeting": f"hello {context.user_id}"})


class Staller:
    """Answers ``stall``, after the loop has stood for as long as the message says."""

    def install(self, manager: WebSocketManager) -> None:
        manager.register_handler("stall", lambda message, context: time.sleep(message["seconds"]))


greeter = Greeter()
staller = Staller()
