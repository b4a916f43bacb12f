"""The AsyncAPI document is valid, complete, and true of what it is made from; of real frames see tests/cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from fairlead import pushes
from fairlead.codes import CLOSES, ERRORS
from fairlead.format.messages import push
from fairlead_gateway.edge.application import OPERATORS, PATHS
from fairlead_gateway.rest.asyncapi import document
from fairlead_gateway.rest.examples import EXAMPLES
from fairlead_gateway.rest.frames import actions
from fairlead_gateway.sessions.actions import RESERVED
from fairlead_gateway.sessions.reading import checked
from tests.support.npm import tools

MADE: dict[str, Any] = json.loads(json.dumps(document()))
MESSAGES: dict[str, Any] = MADE["components"]["messages"]


def faults(key: str, frame: object) -> list[str]:
    schema = {"$ref": f"#/components/schemas/{key}", "components": MADE["components"]}
    return [fault.message for fault in Draft7Validator(schema).iter_errors(frame)]


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    """What asyncapi.com says that a document of this version is."""
    specs = tools(("@asyncapi/specs@6.11.1",)) / "node_modules" / "@asyncapi" / "specs"
    return Draft7Validator(json.loads((specs / "schemas" / "3.0.0.json").read_text()))


def test_the_document_is_valid(official: Draft7Validator) -> None:
    assert [f"{list(fault.absolute_path)}: {fault.message}" for fault in official.iter_errors(MADE)] == []


@pytest.mark.parametrize(
    "path",
    ["operations/read/action", "channels/ws/address", "components/schemas/say.read/type", "servers/plain/protocol"],
)
def test_what_is_wrong_with_a_document_would_be_seen(official: Draft7Validator, path: str) -> None:
    broken = json.loads(json.dumps(MADE))
    *places, name = path.split("/")
    place = broken
    for one in places:
        place = place[one]
    place[name] = ["nonsense"]

    assert not official.is_valid(broken)


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == "$ref")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(inner)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(MADE))

    for reference in found:
        place: Any = MADE
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
    assert len(found) > 200


def test_every_path_action_code_and_error_is_there() -> None:
    assert {place["address"] for place in MADE["channels"].values()} == set(PATHS)
    assert {name for name, *_ in actions()} == RESERVED
    assert {name for name, said in MADE["operations"].items() if said["action"] == "receive"} >= RESERVED
    assert [row["code"] for row in MADE["x-close-codes"]] == [close.code for close in CLOSES]
    assert MADE["components"]["schemas"]["push.error"]["properties"]["code"]["enum"] == list(ERRORS)


def test_every_action_with_an_answer_has_it_as_its_reply() -> None:
    for name in RESERVED - {"pong"}:
        told = [one["$ref"].rpartition("/")[2] for one in MADE["operations"][name]["reply"]["messages"]]
        assert told == [f"reply.{name}", "push.error"]
    assert "reply" not in MADE["operations"]["pong"]


def test_what_is_for_operators_is_where_they_connect_alone() -> None:
    for place in MADE["channels"].values():
        assert ("push.live" in place["messages"]) == (place["address"] in OPERATORS)


def test_every_frame_has_an_example_and_a_sentence() -> None:
    assert set(EXAMPLES) == set(MESSAGES)
    assert [key for key, message in MESSAGES.items() if not message["summary"].endswith(".")] == []


@pytest.mark.parametrize("key", MESSAGES)
def test_examples_are_as_they_are_described(key: str) -> None:
    for example in EXAMPLES[key]:
        assert faults(key, example) == []


@pytest.mark.parametrize("key", [key for key in MESSAGES if key.startswith("say.") and "own" not in key])
def test_a_replica_takes_the_examples_of_what_is_said(key: str) -> None:
    models = {name: model for name, model, _ in actions()}
    for example in EXAMPLES[key]:
        assert checked(models[key.removeprefix("say.")], example)


@pytest.mark.parametrize("key", MESSAGES)
def test_a_frame_of_another_kind_does_not_fit(key: str) -> None:
    other = {"type": 7, "action": 7}

    assert faults(key, other)


def test_what_every_message_of_a_channel_has_is_what_is_written_into_it() -> None:
    written = json.loads(push({"type": "x"}, "session:s1", requires_ack=True).frame)
    of_replicas = {"offset", "attempt"}

    assert set(pushes.Delivery.__annotations__) == set(written) - {"type"} | of_replicas
    assert set(pushes.MEANINGS) == set(pushes.Delivery.__annotations__)
