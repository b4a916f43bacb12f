"""What may be asked of whom, and which questions are the same one (ASK-1 to ASK-4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError, InvalidJson, InvalidMessage, TooLarge
from fairlead.questions.confirmation import Choice, Escalation, TaskStepResult
from fairlead.questions.question import (
    DEFAULT_POLICY,
    MAX_CHOICES,
    MAX_ESCALATIONS,
    MAX_KEY,
    MAX_RESPONDERS,
    Policy,
    Question,
    free_question,
    responder_channels,
    split,
    step_question,
)

STEP = {"step": "plan", "message": "Apply?", "status": "completed", "completed": True, "result": {"a": 1, "b": [2]}}


def asked(**wording: Any) -> Question:
    return free_question("anna", "Go on?", wording.pop("policy", DEFAULT_POLICY), **wording)


def step(result: Any = STEP, user: Any = "anna", task: Any = "t-1", number: Any = 1, **wording: Any) -> Question:
    return step_question(result, user, task, number, wording.pop("policy", DEFAULT_POLICY), **wording)


# -- which are the same -------------------------------------------------------------------------------


def test_the_same_step_with_the_same_result_is_the_same_question() -> None:
    again = step({**dict(reversed(STEP.items())), "result": {"b": [2], "a": 1}})

    assert step().id == again.id
    assert step().secret != again.secret


@pytest.mark.parametrize(
    "other",
    [
        lambda: step({**STEP, "result": {"a": 2}}),
        lambda: step(user="bob"),
        lambda: step(task="t-2"),
        lambda: step(number=2),
        lambda: step(number="1"),
        lambda: step(message="Really?"),
        lambda: step(responders=["anna", "bob"]),
        lambda: step(severity="warning"),
        lambda: step(on_timeout="stop"),
        lambda: step(choices=[{"value": "a", "label": "A"}]),
        lambda: step(feedback="required"),
        lambda: step(idempotency_key="k"),
    ],
)
def test_another_step_result_or_wording_is_another_question(other: Callable[[], Question]) -> None:
    assert other().id != step().id


def test_how_long_it_waits_does_not_make_it_another() -> None:
    assert step(timeout=10).id == step(timeout=20, require_online=True).id


def test_a_key_makes_it_the_same_whatever_it_says() -> None:
    assert asked(idempotency_key="k").id == step(idempotency_key="k").id
    assert asked(idempotency_key="k").id != asked(idempotency_key="l").id


def test_a_free_question_is_always_another() -> None:
    assert asked().id != asked().id


@pytest.mark.parametrize("key", ["", "x" * (MAX_KEY + 1), 7, b"k", "\ud800"])
def test_a_key_that_is_none_is_refused(key: Any) -> None:
    with pytest.raises(FairleadError):
        asked(idempotency_key=key)


@given(st.text(max_size=80))
def test_whatever_is_no_callback_id_is_taken_for_none(text: str) -> None:
    id_, secret = split(text)

    assert (id_ == "") == (secret == "")
    assert id_ == "" or (len(id_) == 32 and f"{id_}.{secret}" == text)


def test_a_callback_id_is_found_again() -> None:
    question = asked()

    assert split(question.callback_id) == (question.id, question.secret)
    assert len(question.secret) >= 20


# -- whom --------------------------------------------------------------------------------------------


def test_responders_are_users_and_roles_each_once() -> None:
    assert responder_channels(["42", "role:ops", "user:42", "a@b.cd"]) == ("user:42", "role:ops", "user:a@b.cd")


@pytest.mark.parametrize("people", ["anna", [], ["a b"], ["role:"], [""], [None], [7], ["x"] * 0, ["a\u00a0b"], ["*"]])
def test_whoever_is_nobody_is_refused(people: Any) -> None:
    with pytest.raises(InvalidMessage):
        responder_channels(people)


def test_too_many_responders_are_refused() -> None:
    assert len(responder_channels(map(str, range(MAX_RESPONDERS)))) == MAX_RESPONDERS
    with pytest.raises(InvalidMessage):
        responder_channels(map(str, range(MAX_RESPONDERS + 1)))


# -- until when, and what then -------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 1.0, 300, 86_400])
def test_a_question_waits_a_second_to_a_day(seconds: float) -> None:
    assert asked(timeout=seconds).timeout_ms == seconds * 1000


@pytest.mark.parametrize("seconds", [0, 0.999, -1, 86_400.1, float("nan"), float("inf"), True, "5", []])
def test_it_waits_no_longer_and_no_shorter(seconds: Any) -> None:
    with pytest.raises(InvalidMessage):
        asked(timeout=seconds)
    with pytest.raises(InvalidMessage):
        asked(policy=Policy(timeout_seconds=seconds))


def test_a_policy_holds_for_what_does_not_say_otherwise() -> None:
    policy = Policy(60, "raise")

    assert (asked(policy=policy).timeout_ms, asked(policy=policy).on_timeout) == (60_000, "raise")
    assert (asked(policy=policy, timeout=2, on_timeout="stop").timeout_ms) == 2000
    assert asked(policy=policy, on_timeout="stop").on_timeout == "stop"
    assert (asked().timeout_ms, asked().on_timeout) == (300_000, "proceed")


def test_danger_never_proceeds_by_itself() -> None:
    with pytest.raises(InvalidMessage):
        asked(severity="danger", on_timeout="proceed")
    assert asked(severity="danger").on_timeout == "stop"
    assert asked(severity="danger", on_timeout="raise").on_timeout == "raise"
    allowed = Policy(danger_proceeds=True)
    assert asked(severity="danger", policy=allowed).on_timeout == "proceed"


@pytest.mark.parametrize(
    "wording",
    [
        {"on_timeout": "wait"},
        {"severity": "fatal"},
        {"severity": None},
        {"severity": []},
        {"feedback": "always"},
        {"choices": []},
        {"choices": 5},
        {"choices": "ab"},
        {"choices": [{"value": "a"}]},
        {"choices": [{"value": "", "label": "A"}]},
        {"choices": [{"value": "a", "label": "A", "more": 1}]},
        {"choices": [Choice(value="a", label="A"), {"value": "a", "label": "B"}]},
        {"choices": [{"value": str(n), "label": "x"} for n in range(MAX_CHOICES + 1)]},
        {"escalate": [(1, "bob")]},
        {"escalate": [(1,)]},
        {"escalate": 5},
        {"escalate": [(0, ["bob"])]},
        {"escalate": [(float("nan"), ["bob"])]},
        {"escalate": [(300, ["bob"])]},
        {"escalate": [(float("inf"), ["bob"])]},
        {"escalate": [(1, [])]},
        {"escalate": [(1, ["a b"])]},
        {"escalate": [(1, ["bob"])] * (MAX_ESCALATIONS + 1)},
        {"schema": "string"},
    ],
    ids=str,
)
def test_wording_that_is_none_is_refused(wording: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        asked(**wording)


def test_more_people_are_asked_in_their_order() -> None:
    question = asked(escalate=[(20, ["role:boss"]), Escalation(after_seconds=10.5, to=("bob", "bob"))])

    assert question.asked["escalate"] == [
        {"after_ms": 10_500, "to": ("user:bob",)},
        {"after_ms": 20_000, "to": ("role:boss",)},
    ]


# -- what --------------------------------------------------------------------------------------------


def test_a_step_is_shown_with_its_result() -> None:
    question = step(TaskStepResult(**STEP), task=7, number="s2")

    assert (question.task_id, question.asked["step"]) == ("7", "s2")
    assert question.asked["step_result"]["result"] == {"a": 1, "b": [2]}
    assert (question.asked["kind"], question.asked["message"]) == ("confirmation", "Apply?")


@pytest.mark.parametrize("result", [object(), "\ud800", {1: {2: object()}}, 2**70])
def test_a_result_that_nobody_could_be_shown_is_refused(result: Any) -> None:
    with pytest.raises(InvalidJson):
        step({**STEP, "result": result})


def test_what_is_no_number_is_shown_as_nothing() -> None:
    assert step({**STEP, "result": {"loss": float("nan")}}).asked["step_result"]["result"] == {"loss": None}


@pytest.mark.parametrize("given_", [5, None, "plan", {"step": 1}, {"message": "no step"}])
def test_what_is_no_step_result_is_refused(given_: Any) -> None:
    with pytest.raises(InvalidMessage):
        step(given_)


def test_more_than_a_dialog_can_hold_is_refused() -> None:
    with pytest.raises(TooLarge):
        step({**STEP, "result": "x" * 70_000})
    with pytest.raises(TooLarge):
        free_question("anna", "x" * 70_000, DEFAULT_POLICY)


@pytest.mark.parametrize("message", [None, 5, b"x", "\ud800"])
def test_a_message_is_a_text(message: Any) -> None:
    with pytest.raises(FairleadError):
        free_question("anna", message, DEFAULT_POLICY)


@pytest.mark.parametrize("task", ["", "a b", "x" * 129, "{1}"])
def test_a_task_has_an_id(task: Any) -> None:
    with pytest.raises(InvalidMessage):
        step(task=task)
