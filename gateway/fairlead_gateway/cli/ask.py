"""``fairlead ask``: ask somebody, as any backend would, and wait for the answer."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

import typer

from fairlead.errors import InvalidJson
from fairlead.questions.confirmation import Feedback, Severity, UserConfirmation
from fairlead.sync.backend import SyncBackend
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.output import Json, Status, note, say, say_json
from fairlead_gateway.cli.send import backend

UNDELIVERABLE: Final = UserConfirmation(proceed=False, status="undeliverable", source="policy")

_TOLD: Final = {
    "answered": "{by} says {what}{more}",
    "timed_out": "nobody answered in time: {what}",
    "cancelled": "cancelled",
    "undeliverable": "nobody who may answer is connected",
}


def ask(
    whom: Annotated[
        str, typer.Argument(metavar="WHOM", help="Who may answer: user:42 or role:ops; several with commas.")
    ],
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What to ask.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 300.0,
    on_timeout: Annotated[Literal["stop", "proceed"], typer.Option(help="What it comes to without one.")] = "stop",
    choice: Annotated[
        list[str], typer.Option(metavar="VALUE[=LABEL]", help="Something to choose, and to go on; several times.")
    ] = [],  # noqa: B006
    stop: Annotated[
        list[str], typer.Option(metavar="VALUE[=LABEL]", help="Something to choose, and to stop, in place of Stop.")
    ] = [],  # noqa: B006
    schema: Annotated[str, typer.Option(metavar="JSON", help="A form to fill in, as a flat JSON schema.")] = "",
    feedback: Annotated[Feedback, typer.Option(help="Whether to say something in words as well.")] = "optional",
    severity: Annotated[Severity, typer.Option(help="How it is shown; danger never proceeds by itself.")] = "info",
    key: Annotated[
        str, typer.Option(help="Asked again under the same key, it is the same question, with its answer.")
    ] = "",
    require_online: Annotated[
        bool, typer.Option("--require-online", help="Give up at once when nobody who may answer is connected.")
    ] = False,
    as_json: Json = False,
) -> Status:
    """
    Ask WHOM, and wait: status 0 means to go on, 1 to stop or that nobody answered in time.

    Ctrl-C takes the question back, unless it has a key: then it stays open, and the same command waits on.
    """
    wording: dict[str, Any] = {
        "timeout": timeout,
        "on_timeout": on_timeout,
        "choices": choices(choice, stop) if choice or stop else None,
        "schema": _form(schema) if schema else None,
        "feedback": feedback,
        "severity": severity,
        "idempotency_key": key or uuid4().hex,
        "require_online": require_online,
    }
    people = [one.strip() for one in whom.split(",")]
    settings, _ = reachable()
    with backend(settings) as fl:
        try:
            begun = fl.begin_ask(people, message, **wording)
            if not as_json and begun.status == "pending":
                note("waiting for an answer; Ctrl-C " + ("leaves it open" if key else "takes the question back"))
                if _is_nobody_there(fl, people):
                    note("nobody who may answer is connected now; whoever connects in time is asked")
            answer = UNDELIVERABLE if begun.status == "undeliverable" else fl.ask(people, message, **wording)
        except KeyboardInterrupt:
            if not key:  # perhaps it has just been asked, and we do not know it yet: it is the same question now
                fl.cancel_ask(fl.begin_ask(people, message, **wording).callback_id)
            return Status.INTERRUPTED
    say_json(answer.model_dump(mode="json")) if as_json else say(_told(answer))
    return Status.OK if answer.proceed else Status.NO


def choices(choice: list[str], stop: list[str]) -> list[dict[str, object]]:
    """What to choose from, of ``value`` and ``value=label``; there is always something of either kind."""
    meant = [(one, True) for one in choice or ["proceed=Proceed"]] + [(one, False) for one in stop or ["stop=Stop"]]
    split = [(*one.partition("="), proceed) for one, proceed in meant]
    return [{"value": value, "label": label or value, "proceed": proceed} for value, _, label, proceed in split]


def _is_nobody_there(fl: SyncBackend, people: list[str]) -> bool:
    """Whether it is known that nobody can see the question now; of roles that is not."""
    users = [one.removeprefix("user:") for one in people]
    return not any(":" in user or fl.is_online(user) for user in users)


def _form(text: str) -> dict[str, Any]:
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise InvalidJson(f"--schema is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidJson(
            '--schema is a JSON object, such as {"type":"object","properties":{"ports":{"type":"integer"}}}'
        )
    return schema


def _told(answer: UserConfirmation) -> str:
    what = answer.choice or ("proceed" if answer.proceed else "stop")
    content = json.dumps(answer.content, ensure_ascii=False) if answer.content else ""
    more = "".join(f": {one}" for one in (answer.feedback, content) if one)
    return _TOLD[answer.status].format(by=answer.responded_by, what=what, more=more)
