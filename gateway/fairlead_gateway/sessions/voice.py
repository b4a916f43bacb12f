"""The gateway's own voice: replies, errors and notices written to one connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from pydantic_core import to_jsonable_python

from fairlead.errors import FairleadError
from fairlead.format.messages import now as timestamp
from fairlead_gateway.dispatch.dispatcher import finish
from fairlead_gateway.pool import Connection

if TYPE_CHECKING:
    from fairlead.pushes import Pong, Refusal, Reply


def encode(message: Mapping[str, Any]) -> bytes:
    """*message* as JSON bytes; what JSON does not know is turned into what it does."""
    return orjson.dumps(message, default=to_jsonable_python, option=orjson.OPT_NON_STR_KEYS)


class Voice:
    """Says things to one connection at a time, in its own format."""

    def say(self, connection: Connection, message: Mapping[str, Any]) -> None:
        """Write *message* as it is."""
        connection.write(finish(encode(message), connection.format))

    def reply(self, connection: Connection, ref: str | None, result: Mapping[str, Any]) -> None:
        """The one answer to an action that carried an id; without one there is nothing to answer."""
        if ref is not None:
            reply: Reply = {"type": "reply", "ref": ref, "ok": True}
            self.say(connection, {**result, **reply})

    def error(self, connection: Connection, ref: str | None, error: FairleadError) -> None:
        """Say what was wrong; costs the sender nothing else."""
        refusal: Refusal = {
            "type": "error",
            "ref": ref,
            "code": error.code,
            "message": error.message,
            "detail": error.detail,
        }
        self.say(connection, refusal)

    def pong(self, connection: Connection, ref: str | None, echoed: Any) -> None:
        """The answer to a ``ping``, which is its reply as well."""
        message: Pong = {"type": "pong", "timestamp": echoed, "server_time": timestamp()}
        if ref is not None:
            message["ref"] = ref
        self.say(connection, message)
