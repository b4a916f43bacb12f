"""Every frame of the protocol as a message of the AsyncAPI document: its schema, made from the type that builds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from fairlead import pushes
from fairlead.codes import ERRORS
from fairlead_gateway.sessions import frames
from fairlead_gateway.sessions.actions import BUILTINS

REF: Final = "#/components/schemas/{model}"

Schema: TypeAlias = dict[str, Any]

SchemaOf: TypeAlias = Callable[[Any, JsonSchemaMode], Schema]
"""A copy of the schema of a type."""

Kind: TypeAlias = Literal["say", "reply", "push"]
"""What a client says, what it is answered, what it is told."""

ANSWERS: Final[Mapping[str, Any]] = {
    "connect": pushes.Established,
    "ping": pushes.Pong,
    "confirm": pushes.ConfirmAck,
}
"""Actions whose answer has a type of its own."""

OPERATORS: Final = frozenset({"watch_live", "unwatch_live", "live", "stats_update", "alert"})
"""What is said and heard at ``/ws/admin/monitor`` alone."""

ITS_OWN: Final = (
    pushes.Established,
    pushes.Refusal,
    pushes.Ping,
    pushes.Skipped,
    pushes.EpochChanged,
    pushes.Live,
)
"""What a replica says by itself; no message of a channel."""

OF_CHANNELS: Final = (
    pushes.NewMessage,
    pushes.Typing,
    pushes.SessionNews,
    pushes.UserStatus,
    pushes.MessageStatusUpdate,
    pushes.AiStatus,
    pushes.PatchPush,
    pushes.Snapshot,
    pushes.TaskState,
    pushes.TaskStalled,
    pushes.DeviceNotice,
    pushes.QuestionAsked,
    pushes.QuestionClosed,
    pushes.LateReply,
    pushes.MessageRefused,
    pushes.NotificationPush,
    pushes.StatsUpdate,
    pushes.AlertUpdate,
)
"""Messages of channels: each has what a `fairlead.pushes.Delivery` has as well."""

YOUR_OWN: Final = "of_your_own"

NAMED: Final = {pushes.LateReply: "late_reply", pushes.MessageRefused: "message_refused"}
"""Messages of channels whose type is that of an answer."""

STATES: Final = frozenset({"snapshot", "task_update", "task_cancelled"})
"""Told as a state to who begins to hear it, or cut short for who does not; then some of a `Delivery` is missing."""


class Frame(NamedTuple):
    """One of them."""

    kind: Kind
    name: str
    """The action, or the type."""
    summary: str
    schema: Schema

    @property
    def key(self) -> str:
        """Its name in the document."""
        return f"{self.kind}.{self.name}"

    @property
    def is_for_operators(self) -> bool:
        return self.name in OPERATORS


class Frames(NamedTuple):
    """All of them, and the schemas that several share."""

    all: tuple[Frame, ...]
    shared: Schema


@cache
def frames_of_the_protocol() -> Frames:
    """Made once; whoever changes it makes a copy."""
    asked = list(_types())
    adapters = [(position, mode, TypeAdapter(type_)) for position, (type_, mode) in enumerate(asked)]
    schemas, definitions = TypeAdapter.json_schemas(adapters, ref_template=REF)
    shared: Schema = _untitled(definitions.get("$defs", {}))
    of_type = {
        (id(type_), mode): _resolved(_untitled(schemas[position, mode]), shared)
        for position, (type_, mode) in enumerate(asked)
    }
    found = tuple(_frames(lambda type_, mode: deepcopy(of_type[id(type_), mode])))
    return Frames(found, _used(found, shared))


def actions() -> Iterator[tuple[str, type[frames.Action], str]]:
    """Every action that is built in: its name, the model of what is said, and what it does."""
    yield "connect", frames.Connect, _text(frames.Connect)
    yield "ping", frames.Ping, "Ask whether the gateway is there."
    yield "pong", frames.Action, "Answer a `ping` of the gateway; nothing is answered to it."
    for name, builtin in BUILTINS.items():
        yield name, builtin.model, _text(builtin.do)


def answer_of(action: str) -> Any:
    """The type of what *action* answers; None for nothing."""
    if action in ANSWERS:
        return ANSWERS[action]
    return get_type_hints(BUILTINS[action].do)["return"] if action in BUILTINS else None


# -- inside ------------------------------------------------------------------------------------------------------------


def _types() -> Iterator[tuple[Any, JsonSchemaMode]]:
    for name, model, _ in actions():
        yield model, "validation"
        if (answer := answer_of(name)) is not None:
            yield answer, "serialization"
    for type_ in (*ITS_OWN, *OF_CHANNELS, pushes.Reply, pushes.Delivery):
        yield type_, "serialization"


def _frames(schema_of: SchemaOf) -> Iterator[Frame]:
    for name, model, about in actions():
        yield Frame("say", name, about, _with(schema_of(model, "validation"), {"action": {"const": name}}))
        if (answer := answer_of(name)) is not None:
            yield Frame("reply", name, f"Answers `{name}`. {_text(answer)}".strip(), _reply(name, schema_of, answer))
    for type_ in (*ITS_OWN, *OF_CHANNELS):
        for kind in get_args(get_type_hints(type_)["type"]):
            schema = _with(schema_of(type_, "serialization"), {"type": {"const": kind}})
            if type_ in OF_CHANNELS:
                schema = _delivered(schema, schema_of(pushes.Delivery, "serialization"), kind in STATES)
            if "code" in schema["properties"]:
                schema["properties"]["code"]["enum"] = list(ERRORS)
            yield Frame("push", NAMED.get(type_, kind), _text(type_), schema)
    yield from _of_your_own(schema_of)


def _of_your_own(schema_of: SchemaOf) -> Iterator[Frame]:
    """What applications add: actions that they have registered, or that backends answer, and messages of any type."""
    said, told = schema_of(frames.Action, "validation"), schema_of(pushes.Delivery, "serialization")
    action, text = {"type": "string", "not": {"enum": [name for name, *_ in actions()]}}, {"type": "string"}
    reply = _with(schema_of(pushes.Reply, "serialization"), {"type": {"const": "reply"}})
    message = _with(_delivered({"type": "object", "properties": {}, "required": []}, told, False), {"type": text})
    yield Frame("say", YOUR_OWN, "An action of your own, with whatever fields it has.", _with(said, {"action": action}))
    yield Frame("reply", YOUR_OWN, "What its handler, or a backend, answers.", reply)
    yield Frame("push", YOUR_OWN, "A message of a type of your own, as a backend sent it.", message)


def _reply(action: str, schema_of: SchemaOf, answer: Any) -> Schema:
    schema: Schema = schema_of(answer, "serialization")
    if action in ANSWERS:
        return schema
    fixed: Schema = schema_of(pushes.Reply, "serialization")["properties"]
    if "anyOf" not in schema:
        return _with(schema, fixed)
    delivery = schema_of(pushes.Delivery, "serialization")
    variants = [_delivered(_without_type(variant), delivery, True) for variant in schema.pop("anyOf")]
    return _with({"type": "object", **schema, "anyOf": variants}, fixed)


def _without_type(schema: Schema) -> Schema:
    """*schema* of a frame as it stands in another, whose type counts."""
    properties = {name: facts for name, facts in schema["properties"].items() if name != "type"}
    return {**schema, "properties": properties, "required": [name for name in schema["required"] if name != "type"]}


def _with(schema: Schema, properties: Schema) -> Schema:
    """*schema* with these required *properties* in front."""
    rest = {name: facts for name, facts in schema.get("properties", {}).items() if name not in properties}
    required = [*properties, *(name for name in schema.get("required", ()) if name not in properties)]
    return {**schema, "properties": {**properties, **rest}, "required": required}


def _delivered(schema: Schema, delivery: Schema, is_state: bool) -> Schema:
    """*schema* with what every message of a channel has."""
    own = schema["properties"]
    more = {name: facts | {"description": pushes.MEANINGS[name]} for name, facts in delivery["properties"].items()}
    always = () if is_state else delivery["required"]
    required = dict.fromkeys((*schema["required"], "channel", "timestamp", *always))
    return {**schema, "properties": {**own, **more}, "required": list(required)}


def _resolved(schema: Schema, shared: Schema) -> Schema:
    """*schema* itself, where it is a reference to one; of a choice, each of them."""
    if "$ref" in schema:
        return dict(shared[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return {**schema, "anyOf": [_resolved(one, shared) for one in schema["anyOf"]]}
    return schema


def _untitled(value: Any) -> Any:
    """*value* without titles that only say the name of a field once more."""
    match value:
        case dict():
            return {key: _untitled(inner) for key, inner in value.items() if key != "title" or isinstance(inner, dict)}
        case list():
            return [_untitled(inner) for inner in value]
    return value


def _used(found: tuple[Frame, ...], shared: Schema) -> Schema:
    """Those of *shared* that frames, or those that they hold, refer to."""
    used: Schema = {}
    left = [frame.schema for frame in found]
    while left:
        for name in _references(left.pop()):
            if name not in used:
                used[name] = shared[name]
                left.append(shared[name])
    return dict(sorted(used.items()))


def _references(value: object) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference.rpartition("/")[2]
        case dict():
            for inner in value.values():
                yield from _references(inner)
        case list():
            for inner in value:
                yield from _references(inner)


def _text(thing: object) -> str:
    """The docstring of *thing* on one line, without its notes on errors; empty for a choice of types."""
    text = (getattr(thing, "__doc__", None) or "") if isinstance(thing, type) or callable(thing) else ""
    return " ".join(text.partition(":raises")[0].replace("``", "`").split())
