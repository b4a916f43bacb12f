"""A question from one shell, whoever answers it on a real replica, and what the shell makes of that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from fairlead.questions.asks import MAX_PENDING
from fairlead.sync.backend import connect_sync
from fairlead_gateway.cli.output import Status
from tests.cli.conftest import Fairlead
from tests.support.replica import Replica, token

SECONDS = 20.0
SCHEMA = '{"type":"object","properties":{"ports":{"type":"integer","minimum":1}},"required":["ports"]}'


@contextmanager
def person(replica: Replica, user: str = "ada", role: str = "") -> Iterator[ClientConnection]:
    """Somebody who is connected."""
    headers = {"Authorization": f"Bearer {token(user, role=role)}"}
    with connect(replica.url, additional_headers=headers, proxy=None) as client:
        heard(client, "connection_established")
        yield client


def heard(client: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(client.recv(timeout=SECONDS))
        if frame["type"] == kind:
            return frame


@contextmanager
def answering(
    replica: Replica, user: str = "ada", role: str = "", **answer: object
) -> Iterator[Future[dict[str, Any]]]:
    """Somebody who answers the next question; that question."""

    def answer_it() -> dict[str, Any]:
        asked = heard(client, "task_step_result")
        client.send(json.dumps({"action": "confirm", "callback_id": asked["callback_id"], **answer}))
        ack = heard(client, "confirm_ack")
        assert ack["status"] == "accepted", ack
        return asked

    with person(replica, user, role) as client, ThreadPoolExecutor(1) as pool:
        yield pool.submit(answer_it)


def asking(*args: str) -> subprocess.Popen[str]:
    """``fairlead ask`` in a process of its own."""
    command = [sys.executable, "-m", "fairlead_gateway", "ask", *args]
    return subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_yes_is_status_0(replica: Replica, fairlead: Fairlead) -> None:
    with answering(replica, proceed=True, feedback="go") as shown:
        said = fairlead("ask", "user:ada", "Go on?", "--severity", "warning")
        asked = shown.result(SECONDS)["confirm"]

    assert (said.status, said.out) == (Status.OK, "ada says proceed: go\n")
    assert (asked["message"], asked["severity"], asked["on_timeout"]) == ("Go on?", "warning", "stop")


def test_a_no_is_status_1(replica: Replica, fairlead: Fairlead) -> None:
    with answering(replica, proceed=False):
        said = fairlead("ask", "ada", "Go on?")

    assert (said.status, said.out) == (Status.NO, "ada says stop\n")


def test_programs_get_the_answer_in_json_and_nothing_else(replica: Replica, fairlead: Fairlead) -> None:
    with answering(replica, proceed=True):
        said = fairlead("ask", "user:ada", "Go on?", "--json")

    assert (said.status, said.err) == (Status.OK, "")
    assert (said.json["proceed"], said.json["status"], said.json["responded_by"]) == (True, "answered", "ada")


def test_whoever_has_the_role_may_answer(replica: Replica, fairlead: Fairlead) -> None:
    with answering(replica, "ben", "ops", proceed=True):
        said = fairlead("ask", "user:ada, role:ops", "Go on?")

    assert said.out == "ben says proceed\n"


@pytest.mark.parametrize(
    ("options", "shown", "chosen", "status"),
    [
        (
            ("--choice", "eu=In Europe", "--choice", "us"),
            [("eu", "In Europe"), ("us", "us"), ("stop", "Stop")],
            "eu",
            0,
        ),
        (("--choice", "eu", "--stop", "no=Nowhere"), [("eu", "eu"), ("no", "Nowhere")], "no", 1),
        (("--stop", "later"), [("proceed", "Proceed"), ("later", "later")], "later", 1),
    ],
    ids=["labels", "a stop of its own", "only a stop"],
)
def test_there_are_choices_to_go_on_and_to_stop(
    replica: Replica,
    fairlead: Fairlead,
    options: tuple[str, ...],
    shown: list[tuple[str, str]],
    chosen: str,
    status: int,
) -> None:
    with answering(replica, choice=chosen) as question:
        said = fairlead("ask", "user:ada", "Where?", *options)
        asked = question.result(SECONDS)["confirm"]

    assert [(choice["value"], choice["label"]) for choice in asked["choices"]] == shown
    assert (said.status, said.out) == (status, f"ada says {chosen}\n")


def test_a_form_is_filled_in(replica: Replica, fairlead: Fairlead) -> None:
    with answering(replica, proceed=True, content={"ports": 7}):
        said = fairlead("ask", "user:ada", "How many?", "--schema", SCHEMA)

    assert said.out == 'ada says proceed: {"ports": 7}\n'


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(("policy", "status"), [("stop", Status.NO), ("proceed", Status.OK)])
def test_what_it_comes_to_when_nobody_answers(fairlead: Fairlead, policy: str, status: Status) -> None:
    said = fairlead("ask", "user:ada", "Go on?", "--timeout", "1", "--on-timeout", policy)

    assert (said.status, said.out) == (status, f"nobody answered in time: {policy}\n")


def test_nobody_there_is_told_at_once_if_so_wished(replica: Replica, fairlead: Fairlead) -> None:
    said = fairlead("ask", "user:nobody", "Go on?", "--require-online")
    with answering(replica, proceed=True):
        answered = fairlead("ask", "user:ada", "Go on?", "--require-online")

    assert (said.status, said.out, said.err) == (Status.NO, "nobody who may answer is connected\n", "")
    assert answered.status == Status.OK


def test_the_same_key_is_the_same_question(replica: Replica, fairlead: Fairlead) -> None:
    with answering(replica, proceed=True):
        first = fairlead("ask", "user:ada", "Go on?", "--key", "deploy 7", "--json").json
    again = fairlead("ask", "user:ada", "Go on?", "--key", "deploy 7", "--json").json

    assert again == first


def test_ctrl_c_takes_the_question_back(replica: Replica) -> None:
    with person(replica) as ada:
        process = asking("user:ada", "Go on?")
        asked = heard(ada, "task_step_result")
        process.send_signal(signal.SIGINT)
        closed = heard(ada, "confirm_closed")
        out, err = process.communicate(timeout=SECONDS)

    assert (process.returncode, out) == (Status.INTERRUPTED, "")
    assert "Traceback" not in err
    assert (closed["callback_id"], closed["status"]) == (asked["callback_id"], "cancelled")


def test_ctrl_c_leaves_a_question_with_a_key_open(replica: Replica, fairlead: Fairlead) -> None:
    with person(replica) as ada:
        process = asking("user:ada", "Go on?", "--key", "deploy 8")
        heard(ada, "task_step_result")
        assert process.stderr is not None
        assert "leaves it open" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    with answering(replica, proceed=True):
        said = fairlead("ask", "user:ada", "Go on?", "--key", "deploy 8")

    assert process.returncode == Status.INTERRUPTED
    assert said.out == "ada says proceed\n"


@pytest.mark.usefixtures("configured")
def test_somebody_with_too_many_questions_is_not_asked_another(fairlead: Fairlead, redis_url: str, prefix: str) -> None:
    with connect_sync(redis_url, prefix=prefix) as backend:
        for number in range(MAX_PENDING):
            backend.begin_ask("ada", f"Question {number}?")

    said = fairlead("ask", "user:ada", "One more?")

    assert (said.status, said.out) == (Status.REFUSED, "")
    assert said.err == "fairlead: user:ada has too many open questions\n"


def test_that_nobody_is_there_is_told_while_it_waits(configured: None, fairlead: Fairlead) -> None:
    alone = fairlead("ask", "user:nobody-is-here", "Go on?", "--timeout", "1")
    of_a_role = fairlead("ask", "role:ops", "Go on?", "--timeout", "1")

    assert alone.status == of_a_role.status == Status.NO
    assert "nobody who may answer is connected now" in alone.err
    assert "connected now" not in of_a_role.err
