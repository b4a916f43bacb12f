"""``fairlead ask``: ask somebody, as any backend would, and wait for the answer."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from fairlead.confirmation import OnTimeout, Severity, UserConfirmation
from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.output import Json, Status, note, say, say_json
from fairlead_gateway.cli.send import backend

_TOLD: Final = {
    "answered": "{by} says {what}{feedback}",
    "timed_out": "nobody answered in time: {what}",
    "cancelled": "cancelled",
    "undeliverable": "nobody who may answer is connected",
}


def ask(
    whom: Annotated[str, typer.Argument(help="Who may answer: user:42 or role:ops; several with commas.")],
    message: Annotated[str, typer.Argument(help="What to ask.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 300.0,
    on_timeout: Annotated[
        OnTimeout, typer.Option(help="What it comes to without one; raise ends with status 1, as stop does.")
    ] = "stop",
    choice: Annotated[
        list[str], typer.Option(help="Something to choose; several times. Choosing the last means to stop.")
    ] = [],  # noqa: B006
    severity: Annotated[Severity, typer.Option(help="How it is shown; danger never proceeds by itself.")] = "info",
    key: Annotated[
        str | None, typer.Option(help="Asked again under the same key, it is the same question, with its answer.")
    ] = None,
    require_online: Annotated[bool, typer.Option(help="Give up at once when nobody who may answer is there.")] = False,
    as_json: Json = False,
) -> Status:
    """Ask WHOM, and wait: status 0 means to go on, 1 to stop or that nobody answered in time."""
    settings, _ = reachable()
    choices = [{"value": one, "label": one, "proceed": one != choice[-1] or len(choice) == 1} for one in choice]
    if not as_json:
        note("waiting for an answer; Ctrl-C leaves the question open")
    try:
        with backend(settings) as fl:
            answer = fl.ask(
                whom.split(","),
                message,
                timeout=timeout,
                on_timeout="stop" if on_timeout == "raise" else on_timeout,
                choices=choices or None,
                severity=severity,
                idempotency_key=key,
                require_online=require_online,
            )
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    say_json(answer.model_dump(mode="json")) if as_json else say(_told(answer))
    return Status.OK if answer.proceed else Status.NO


def _told(answer: UserConfirmation) -> str:
    what = answer.choice or ("proceed" if answer.proceed else "stop")
    feedback = f": {answer.feedback}" if answer.feedback else ""
    return _TOLD[answer.status].format(by=answer.responded_by, what=what, feedback=feedback)
