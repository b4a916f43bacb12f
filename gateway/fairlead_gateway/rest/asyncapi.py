"""The protocol of the WebSockets as an AsyncAPI 3.0 document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fairlead.codes import CLOSES, ERRORS
from fairlead.version import __version__
from fairlead_gateway.edge.application import OPERATORS, PATHS
from fairlead_gateway.edge.credentials import SUBPROTOCOLS
from fairlead_gateway.rest.examples import EXAMPLES
from fairlead_gateway.rest.frames import Frame, frames_of_the_protocol

Document = dict[str, Any]

MEDIA_TYPE: Final = "application/json"

ENTRY: Final = "/ws"
"""The channel that operations are told of; the other paths carry the same."""

PUTS_IN: Final[Mapping[str, str]] = {
    "/ws": "The user's own channel; everything else by `subscribe`, `join_session` and `subscribe_task`.",
    "/ws/chat": "As `/ws`, for several sessions.",
    "/ws/chat/session/{session_id}": "That session, after a permission check.",
    "/ws/instance/{name}": "That instance: a snapshot, then patches.",
    "/ws/monitor/tasks": "All tasks of the user: how they stand, then every update.",
    "/ws/admin/monitor": "Figures and alerts of the fleet, and what passes by; for operators.",
}
"""Where each path puts a connection."""

DESCRIPTION: Final = """\
What is said over WebSockets: text frames with JSON (`fairlead.v1.json`, also when nothing is offered), or binary frames
with the same maps in msgpack (`fairlead.v1.msgpack`).

A client says actions, `{"action": …, "id": …}`; `type` is another spelling of `action`. Each with an `id` gets exactly
one reply or error with that `ref`. Fields that are not described may come, and are to be passed on or ignored. The
first frame from the gateway is always `connection_established`. A client that opens with `?wait=connect`, or without a
credential, says `connect` before that.

Close codes are in `x-close-codes`: 40xx stop, 41xx come back after a back-off, 42xx come back now, 44xx credentials."""

SECURITY: Final[Mapping[str, Document]] = {
    "header": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "`bearer.<token>`, offered beside one of the subprotocols; for browsers. It is never echoed.",
    },
    "ticket": {
        "type": "httpApiKey",
        "in": "query",
        "name": "ticket",
        "description": "Good for one connection, from `POST /api/v1/websocket/tickets`.",
    },
    "first_frame": {
        "type": "userPassword",
        "description": "No credential in the handshake: `connect` brings the `token`, within five seconds.",
    },
}

BINDING: Final[Document] = {
    "method": "GET",
    "query": {
        "type": "object",
        "properties": {
            "ticket": {"type": "string", "description": "A credential that is good once."},
            "wait": {"const": "connect", "description": "Nothing goes live before the client has said `connect`."},
        },
    },
    "headers": {
        "type": "object",
        "properties": {
            "Authorization": {"type": "string", "description": "`Bearer <token>`, from clients that can set headers."},
            "Sec-WebSocket-Protocol": {
                "type": "string",
                "description": f"{' or '.join(SUBPROTOCOLS)}, and perhaps `bearer.<token>`.",
            },
            "Origin": {"type": "string", "description": "Of a page; checked against FAIRLEAD_ALLOWED_ORIGINS."},
        },
    },
    "bindingVersion": "0.1.0",
}


def document() -> Document:
    """All that a client in any language must know."""
    frames, shared = frames_of_the_protocol()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fairlead",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": MEDIA_TYPE,
        "servers": {"secure": _server("wss"), "plain": _server("ws")},
        "channels": {_channel(path): _place(path, frames) for path in PATHS},
        "operations": dict(_operations(frames)),
        "components": {
            "schemas": {**{frame.key: frame.schema for frame in frames}, **shared},
            "messages": {frame.key: _message(frame) for frame in frames},
            "securitySchemes": dict(SECURITY),
        },
        "x-subprotocols": list(SUBPROTOCOLS),
        "x-close-codes": [{"code": close.code, "word": close.word, "client": close.client} for close in CLOSES],
        "x-error-codes": dict(ERRORS),
    }


def _server(protocol: str) -> Document:
    return {
        "host": "{host}",
        "protocol": protocol,
        "variables": {
            "host": {"default": "localhost:8000", "description": "Where a gateway, or a proxy before it, is."}
        },
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in SECURITY],
    }


# -- channels ----------------------------------------------------------------------------------------------------------


def _channel(path: str) -> str:
    """``ws_chat_session`` for ``/ws/chat/session/{session_id}``."""
    return "_".join(re.findall(r"\w+", re.sub(r"{\w+}", "", path)))


def _heard_at(path: str, frames: Iterable[Frame]) -> list[Frame]:
    return [frame for frame in frames if path in OPERATORS or not frame.is_for_operators]


def _place(path: str, frames: Iterable[Frame]) -> Document:
    place: Document = {"address": path, "title": path, "description": PUTS_IN[path]}
    if names := re.findall(r"{(\w+)}", path):
        place["parameters"] = {name: {"description": "1 to 128 of `A-Z a-z 0-9 _ - . : @`."} for name in names}
    place["messages"] = {frame.key: {"$ref": f"#/components/messages/{frame.key}"} for frame in _heard_at(path, frames)}
    place["bindings"] = {"ws": BINDING}
    return place


# -- operations --------------------------------------------------------------------------------------------------------


def _operations(frames: tuple[Frame, ...]) -> Iterator[tuple[str, Document]]:
    """As the gateway sees them: each action and each push by itself; of the other paths all together."""
    answered = {frame.name for frame in frames if frame.kind == "reply"}
    monitor = next(iter(OPERATORS))
    for frame in frames:
        path = monitor if frame.is_for_operators else ENTRY
        if frame.kind == "say":
            operation = _operation("receive", path, [frame.key], frame.summary)
            if frame.name in answered:
                operation["reply"] = _reply(path, frame.name)
            yield frame.name, operation
        elif frame.kind == "push":
            yield f"push_{frame.name}", _operation("send", path, [frame.key], frame.summary)
    for path in PATHS:
        if path != ENTRY:
            here = _heard_at(path, frames)
            said = [frame.key for frame in here if frame.kind == "say"]
            told = [frame.key for frame in here if frame.kind != "say"]
            yield f"{_channel(path)}_hears", _operation("receive", path, said, "What a client says here.")
            yield f"{_channel(path)}_says", _operation("send", path, told, "What a client is told here.")


def _operation(action: str, path: str, keys: list[str], summary: str) -> Document:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{_channel(path)}"},
        **_about(summary),
        "messages": [_in_channel(path, key) for key in keys],
    }


def _about(text: str) -> Document:
    """The first sentence, and where there is more, all of it."""
    first, _, more = text.partition(". ")
    return {"summary": first + ".", "description": text} if more else {"summary": text}


def _reply(path: str, action: str) -> Document:
    keys = (f"reply.{action}", "push.error")
    return {
        "channel": {"$ref": f"#/channels/{_channel(path)}"},
        "messages": [_in_channel(path, key) for key in keys],
    }


def _in_channel(path: str, key: str) -> Document:
    return {"$ref": f"#/channels/{_channel(path)}/messages/{key}"}


# -- messages ----------------------------------------------------------------------------------------------------------


def _message(frame: Frame) -> Document:
    message: Document = {
        "name": frame.name,
        "title": frame.key,
        **_about(frame.summary),
        "contentType": MEDIA_TYPE,
        "payload": {"$ref": f"#/components/schemas/{frame.key}"},
    }
    if frame.kind != "push":
        where = "id" if frame.kind == "say" else "ref"
        message["correlationId"] = {"location": f"$message.payload#/{where}"}
    if examples := EXAMPLES.get(frame.key):
        message["examples"] = [{"payload": example} for example in examples]
    return message
