"""Forms: what is asked for is what is accepted, whoever writes the schema, and whoever fills it in (ASK-4)."""

from __future__ import annotations

import json
import string
from datetime import datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from fairlead.errors import FairleadError, InvalidMessage, TooLarge
from fairlead.format.codec import to_json
from fairlead.questions.fields import MAX_FAULTS, MAX_FIELDS, checked_schema, faults


def form(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


# -- what may be asked --------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Nested(BaseModel):
    inner: dict[str, int]


class Coloured(BaseModel):
    colour: Colour


class Port(BaseModel):
    name: str = Field(min_length=1, max_length=8)
    vlan: int = Field(1, ge=1, le=4094)
    up: bool = True


@pytest.mark.parametrize(
    "schema",
    [
        None,
        "abc",
        5,
        [],
        int,
        {},
        {1: 2},
        {"type": "object", "properties": {}},
        {"type": "array", "items": {"type": "string"}},
        form(a={"$ref": "#/$defs/x"}),
        form(a={"type": ["string", "null"]}),
        form(a={"type": "object", "properties": {"b": {"type": "string"}}}),
        form(a={"type": "array", "items": {"type": "string"}}),
        form(a={"type": "string", "pattern": "(a+)+$"}),
        form(a={"type": "string", "format": "regex"}),
        form(a={"type": "string", "enum": []}),
        form(a={"type": "string", "enum": [1]}),
        form(a={"type": "string", "minLength": -1}),
        form(a={"type": "string", "minLength": "1"}),
        form(a={"type": "string", "default": {"b": 1}}),
        form(a={"type": "integer", "multipleOf": 2}),
        form("b", a={"type": "string"}),
        {**form(a={"type": "string"}), "additionalProperties": True},
        form(**{f"f{n}": {"type": "boolean"} for n in range(MAX_FIELDS + 1)}),
        Nested,
        Coloured,
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_what_is_no_flat_form_is_refused_with_a_reason(schema: Any) -> None:
    with pytest.raises(InvalidMessage) as refused:
        checked_schema(schema)

    assert len(refused.value.message) > 20


def test_what_json_cannot_say_is_refused() -> None:
    for text in ("\ud800", float("nan"), iter(()), 2**70):
        with pytest.raises(FairleadError):
            checked_schema(form(a={"type": "string", "title": text}))


def test_too_much_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(TooLarge):
        checked_schema(form(a={"type": "string", "description": "x" * 20_000}))


def test_a_depth_that_no_form_has_is_refused() -> None:
    with pytest.raises(FairleadError):
        checked_schema(json.loads('{"a":' * 150 + "1" + "}" * 150))


def test_a_model_is_a_form() -> None:
    schema = checked_schema(Port)

    assert set(schema["properties"]) == {"name", "vlan", "up"}
    assert faults(schema, {"name": "eth0", "vlan": 7}) == []
    assert {fault["field"] for fault in faults(schema, {"vlan": 5000})} == {"name", "vlan"}


def test_what_clients_get_is_what_was_said_and_nothing_else() -> None:
    class Sly(dict[str, Any]):
        """A mapping that changes behind our back."""

    given_ = Sly(form(a={"type": "string"}))
    checked = checked_schema(given_)
    given_["properties"]["a"]["type"] = "script"

    assert checked == form(a={"type": "string"})


# -- what may be filled in ----------------------------------------------------------------------------

NAMES = st.one_of(
    st.sampled_from(["__proto__", "constructor", "", "model_config", "field_0", "a.b", "ü", "self", "__class__"]),
    st.text(string.ascii_letters, min_size=1, max_size=8),
)
WHOLE = st.integers(-(2**62), 2**62)
NUMBERS = st.one_of(WHOLE, st.floats(allow_nan=False, allow_infinity=False))
BOUNDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), NUMBERS),
)
PROPERTIES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 5),
            "maxLength": st.integers(0, 8),
            "enum": st.lists(st.text(max_size=4), min_size=1, max_size=4),
            "format": st.sampled_from(["email", "uri", "date", "date-time"]),
        },
    ),
    st.builds(lambda kind, bounds: {"type": kind, **bounds}, st.sampled_from(["number", "integer"]), BOUNDS),
    st.just({"type": "boolean"}),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.text(max_size=10),
    st.sampled_from(["a@b.cd", "http://x.yz/", "2026-01-31", "2026-01-31T12:00:00Z", "1700000000", "2026-13-01"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@st.composite
def forms_and_contents(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    properties = draw(st.dictionaries(NAMES, PROPERTIES, min_size=1, max_size=4))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    names = st.one_of(st.sampled_from(sorted(properties)), NAMES)
    return form(*required, **properties), draw(st.dictionaries(names, VALUES, max_size=5))


@given(forms_and_contents())
def test_what_is_accepted_is_what_the_schema_says(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    schema, content = case

    found = faults(checked_schema(schema), content)

    wrong = {name for name, value in content.items() if not _allows(schema["properties"].get(name), value)}
    wrong |= set(schema["required"]) - set(content)
    assert {fault["field"] for fault in found} == {name[:64] for name in wrong}
    assert all(fault["message"] for fault in found)
    to_json(found)


def _allows(property: dict[str, Any] | None, value: Any) -> bool:
    """JSON Schema, read once more by somebody else; a whole number is written as one."""
    match property:
        case None:
            return False
        case {"type": "boolean"}:
            return isinstance(value, bool)
        case {"type": "string"}:
            return isinstance(value, str) and _allows_text(property, value)
        case {"type": "integer"} if not isinstance(value, int):
            return False
    assert property is not None
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and property.get("minimum", value) <= value <= property.get("maximum", value)
        and ("exclusiveMinimum" not in property or value > property["exclusiveMinimum"])
        and ("exclusiveMaximum" not in property or value < property["exclusiveMaximum"])
    )


def _allows_text(property: dict[str, Any], value: str) -> bool:
    formats = {
        "email": lambda: value == "a@b.cd",
        "uri": lambda: value == "http://x.yz/",
        "date": lambda: value == "2026-01-31",
        "date-time": lambda: value == "2026-01-31T12:00:00Z",
    }
    right_length = property.get("minLength", 0) <= len(value) <= property.get("maxLength", len(value))
    listed = value in property.get("enum", [value])
    return right_length and listed and ("format" not in property or formats[property["format"]]())


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("email", ["a@b.cd", "ü@b.cd"], ["a@b", "@b.cd", "a b@c.de", "a" * 65 + "@b.cd", "a@" + "b" * 250 + ".cd"]),
        ("uri", ["https://a.b/c?d#e", "mailto:a@b.cd"], ["a.b/c", "//a.b", " http://a.b", "http://a b/", ""]),
        ("date", ["2024-02-29"], ["2023-02-29", "2024-2-29", "20240229", "1700000000", "٢٠٢٤-٠٢-٢٩", "2024-02-29Z"]),
        (
            "date-time",
            ["2024-02-29T12:00:00Z", "2024-02-29t12:00:00.5z", "2024-02-29T12:00:00+02:00"],
            ["2024-02-29", "2024-02-29T12:00:00", "1700000000", "2024-02-29T25:00:00Z", "2024-02-29 12:00:00Z"],
        ),
    ],
)
def test_formats_mean_what_the_standards_say(format: str, good: list[str], bad: list[str]) -> None:
    schema = checked_schema(form("a", a={"type": "string", "format": format}))

    assert [value for value in good if faults(schema, {"a": value})] == []
    assert [value for value in bad if not faults(schema, {"a": value})] == []


def test_a_format_does_not_do_away_with_lengths_and_lists() -> None:
    schema = checked_schema(form(a={"type": "string", "format": "email", "maxLength": 5}))
    listed = checked_schema(form(a={"type": "string", "enum": ["abcdef"], "maxLength": 5}))

    assert faults(schema, {"a": "abc@d.ef"})
    assert faults(listed, {"a": "abcdef"})


def test_bounds_that_no_machine_integer_has_are_bounds_all_the_same() -> None:
    schema = checked_schema(form(a={"type": "integer", "minimum": 1.5, "maximum": 1e30}))

    assert [faults(schema, {"a": value}) == [] for value in (1, 2, 2**63, True, 2.0)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_faults_are_few_and_short() -> None:
    schema = checked_schema(form(a={"type": "string", "enum": ["x" * 100] * 3}))

    found = faults(schema, {"a": "y", **{"z" * 500 + str(n): 1 for n in range(100)}})

    assert len(found) == MAX_FAULTS
    assert max(len(fault["field"]) + len(fault["message"]) for fault in found) <= 64 + 256


def test_names_of_pydantic_are_names_like_others() -> None:
    schema = checked_schema(form("model_config", model_config={"type": "string"}, __proto__={"type": "number"}))

    assert faults(schema, {"model_config": "a", "__proto__": 1}) == []
    assert [fault["field"] for fault in faults(schema, {"__proto__": "a"})] == ["__proto__", "model_config"]


def test_a_moment_that_is_accepted_can_be_read() -> None:
    schema = checked_schema(form(a={"type": "string", "format": "date-time"}))
    text = "2024-02-29T12:00:00.123456Z"

    assert faults(schema, {"a": text}) == []
    assert datetime.fromisoformat(text).year == 2024
