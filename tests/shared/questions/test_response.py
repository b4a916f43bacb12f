"""Answers, checked against what was asked (ASK-2, ASK-4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.questions.question import DEFAULT_POLICY, free_question
from fairlead.questions.response import MAX_FEEDBACK_BYTES, Responder, Response, checked_response

FORM = {"type": "object", "properties": {"vlan": {"type": "integer"}}, "required": ["vlan"]}
CHOICES = [
    {"value": "all", "label": "All"},
    {"value": "some", "label": "Some"},
    {"value": "none", "label": "None", "proceed": False},
]


def answered(wording: dict[str, Any], *said: Any, **more: Any) -> Response | list[str]:
    """The response, or the fields that are wrong with it."""
    asked = free_question("anna", "?", DEFAULT_POLICY, **wording).asked
    response, faults = checked_response(asked, *said, **more)
    assert (response is None) == bool(faults)
    return [fault["field"] for fault in faults] if response is None else response


def test_a_client_that_knows_nothing_else_proceeds_or_stops() -> None:
    assert answered({}, True, "go") == Response(True, "go")
    assert answered({}, False) == Response(False)


def test_whoever_says_nothing_has_not_answered() -> None:
    assert answered({}, None) == ["proceed"]
    assert answered({"choices": CHOICES}, None) == ["proceed"]


def test_a_choice_decides() -> None:
    assert answered({"choices": CHOICES}, None, None, "some") == Response(True, None, "some")
    assert answered({"choices": CHOICES}, False, None, "none") == Response(False, None, "none")
    assert answered({}, None, None, "stop") == Response(False, None, "stop")


def test_a_choice_that_contradicts_itself_or_is_none_is_wrong() -> None:
    assert answered({"choices": CHOICES}, True, None, "none") == ["proceed"]
    assert answered({"choices": CHOICES}, True, None, "other") == ["choice"]


def test_a_plain_client_chooses_where_one_choice_alone_means_it() -> None:
    assert answered({"choices": CHOICES}, False) == Response(False, None, "none")
    assert answered({"choices": CHOICES}, True) == ["choice"]
    assert answered({"choices": CHOICES[:2]}, False) == ["choice"]


def test_a_form_with_choices_has_one_of_them_chosen() -> None:
    wording = {"choices": CHOICES, "schema": FORM}

    assert answered(wording, True, content={"vlan": 1}) == ["choice"]
    assert answered(wording, True, choice="all", content={"vlan": 1}) == Response(True, None, "all", {"vlan": 1})


def test_who_proceeds_fills_in_the_form_and_who_stops_need_not() -> None:
    assert answered({"schema": FORM}, True) == ["content.vlan"]
    assert answered({"schema": FORM}, True, content={"vlan": "x", "more": 1}) == ["content.vlan", "content.more"]
    assert answered({"schema": FORM}, True, content={"vlan": 7}) == Response(True, None, "proceed", {"vlan": 7})
    assert answered({"schema": FORM}, False, content={"vlan": "x"}) == Response(False, None, "stop")


def test_content_that_nobody_asked_for_is_wrong() -> None:
    assert answered({}, True, content={"vlan": 1}) == ["content"]


@pytest.mark.parametrize(
    ("wanted", "proceed", "feedback", "result"),
    [
        ("none", True, "x", Response(True)),
        ("optional", True, None, Response(True)),
        ("required", True, None, ["feedback"]),
        ("required", True, "", ["feedback"]),
        ("required", True, "why", Response(True, "why")),
        ("required_on_stop", True, None, Response(True)),
        ("required_on_stop", False, None, ["feedback"]),
        ("required_on_stop", False, "why", Response(False, "why")),
    ],
)
def test_feedback_is_asked_for_as_was_said(wanted: str, proceed: bool, feedback: str | None, result: object) -> None:
    assert answered({"feedback": wanted}, proceed, feedback) == result


def test_feedback_has_an_end() -> None:
    longest = "ü" * (MAX_FEEDBACK_BYTES // 2)

    assert answered({}, True, longest) == Response(True, longest)
    assert answered({}, True, longest + "x") == ["feedback"]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert answered({"schema": FORM, "feedback": "required", "choices": CHOICES}, True) == [
        "choice",
        "feedback",
        "content.vlan",
    ]


@given(
    st.none() | st.booleans(),
    st.none() | st.text(max_size=5),
    st.none() | st.sampled_from(["all", "none", "other", ""]),
    st.none() | st.dictionaries(st.sampled_from(["vlan", "x"]), st.integers() | st.text(max_size=2)),
    st.sampled_from([{}, {"choices": CHOICES}, {"schema": FORM}, {"schema": FORM, "choices": CHOICES}]),
)
def test_an_answer_counts_or_is_told_why_not(
    proceed: bool | None, feedback: str | None, choice: str | None, content: Any, wording: dict[str, Any]
) -> None:
    response = answered(wording, proceed, feedback, choice, content)

    if isinstance(response, Response):
        assert proceed is None or response.proceed is proceed
        assert choice is None or response.choice == choice
        assert response.content is None or set(response.content) == {"vlan"}


def test_a_responder_is_its_user_and_its_role() -> None:
    assert Responder("anna").channels == ("user:anna",)
    assert Responder("anna", "ops").channels == ("user:anna", "role:ops")
