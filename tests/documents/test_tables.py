"""The tables of the pages say what the code says."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

import fairlead
from fairlead.backend.sends import Sends
from fairlead.codes import CLOSES, ERRORS
from fairlead.format import codec, messages, past
from fairlead.names import BROADCAST, DURABLE_KINDS, KINDS
from fairlead.publishing import acks, publication
from fairlead.questions import asks, question, response
from fairlead.state import instances, patches, task, tasks
from fairlead.state.devices import KEPT_SECONDS
from fairlead_gateway.access import tickets, tokens
from fairlead_gateway.access.claims import GRANTS
from fairlead_gateway.admin.alerts import RULES
from fairlead_gateway.admin.metrics import HISTOGRAMS, METRICS
from fairlead_gateway.cli.config import shown, variable, written
from fairlead_gateway.dispatch.replays import MAX_REPLAY_BYTES
from fairlead_gateway.edge.application import PATHS
from fairlead_gateway.facts import cursors
from fairlead_gateway.rest.table import ROWS
from fairlead_gateway.sessions import frames, receiver
from fairlead_gateway.sessions.actions import BUILTINS, RESERVED
from fairlead_gateway.settings import Settings
from fairlead_gateway.wire.frames import MAX_REASON_BYTES
from fairlead_gateway.wire.limits import WireLimits
from tests.documents.pages import PAGES, names, rows, text_of

UNITS = {"KiB": 1024, "MiB": 1024 * 1024, "days": 86_400, "h": 3600}


def longest(model: type[Any], field: str) -> int:
    """The bound on the length of a field."""
    return int(next(one.max_length for one in model.model_fields[field].metadata if hasattr(one, "max_length")))


FIXED: dict[str, tuple[float, ...]] = {
    "message of a backend": (codec.MAX_BYTES,),
    "pings and pongs of one connection": (WireLimits().control_frames_per_second, WireLimits().control_frames_burst),
    "actions that wait for an earlier one before reading stops": (receiver.MAX_INBOX,),
    "channels in one `subscribe`, positions in one `recover`": (
        longest(frames.Subscribe, "channels"),
        longest(frames.Connect, "recover"),
    ),
    "ids in one `ack`": (100,),
    "token": (tokens.MAX_TOKEN_BYTES,),
    "ticket": (tickets.LIFETIME_SECONDS,),
    "`id` of an action, `message_id`": (messages.MAX_ID,),
    "`type` of a message": (messages.MAX_TYPE,),
    "messages on a page of `history`": (past.PAGE, past.MAX_PAGE, past.MAX_PAGE_BYTES),
    "what one client is given when it comes back": (MAX_REPLAY_BYTES,),
    "window in which a `message_id` is known": (publication.SEEN_SECONDS,),
    "cursors of devices": (cursors.KEPT_SECONDS, cursors.MAX_DEVICES),
    "a document": (instances.MAX_DOCUMENT_BYTES,),
    "paths in a patch, keys in a path": (patches.MAX_PATHS, patches.MAX_SEGMENTS),
    "places beyond the end of a list": (patches.MAX_PADDING,),
    "a field of a task, fields of a task": (task.MAX_FIELD_BYTES, task.MAX_FIELDS),
    "watchers of a task": (tasks.MAX_WATCHERS,),
    "a question with all that is shown": (question.MAX_BYTES,),
    "feedback": (response.MAX_FEEDBACK_BYTES,),
    "choices, people asked": (question.MAX_CHOICES, question.MAX_RESPONDERS),
    "open questions of a user or role": (asks.MAX_PENDING,),
    "live items a second": (frames.Wanted().max_per_second, 100),
    "reason of a close": (MAX_REASON_BYTES,),
}
"""The limits that no setting moves."""


def told(cell: str) -> tuple[float, ...]:
    """The numbers of a cell, with the units behind them."""
    found = re.findall(r"(\d[\d,]*)(?: (KiB|MiB|days|h)\b)?", cell.partition(", bursts")[0])
    return tuple(float(number.replace(",", "")) * UNITS.get(unit, 1) for number, unit in found)


@pytest.mark.parametrize("row", sorted(rows("what | limit | set by")), ids=lambda row: row[0])
def test_a_limit_is_what_is_told(row: tuple[str, ...]) -> None:
    what, limit, set_by = row
    if set_by == "fixed":
        assert told(limit)[: len(FIXED[what])] == FIXED[what]
    else:
        name = set_by.strip("`").removeprefix("FAIRLEAD_").lower()
        assert told(limit)[0] == Settings.model_fields[name].default


def test_every_limit_is_in_the_table() -> None:
    assert set(FIXED) == {row[0] for row in rows("what | limit | set by") if row[2] == "fixed"}
    assert KEPT_SECONDS == cursors.KEPT_SECONDS and acks.ACK_SECONDS == 5.0


def test_every_setting_is_a_row() -> None:
    fields = Settings.model_fields
    defaults = {name: written(shown(name, field.default)) for name, field in fields.items()}
    meanings = {name: " ".join((field.description or "").split()).replace("``", "`") for name, field in fields.items()}

    assert rows("variable | default |") == {
        (f"`{variable(name)}`", defaults[name] and f"`{defaults[name]}`", meanings[name]) for name in fields
    }


def test_every_variable_that_is_told_is_a_setting() -> None:
    known = {f"FAIRLEAD_{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | {"FAIRLEAD_TEST_REDIS_URL", "FAIRLEAD_REQUIRE_ALL"}

    for page in PAGES:
        assert set(re.findall(r"\bFAIRLEAD_[A-Z_]*[A-Z]\b", text_of(page))) <= known, page


def test_figures_that_are_told_twice_are_the_same() -> None:
    tables = {
        page: re.findall(r"<!-- figures: compare -->\n(.*?)<!-- end of figures -->", text_of(page), re.S)
        for page in PAGES
    }

    assert len(tables["README.md"]) == 1
    assert tables["README.md"] == tables["docs/comparison.md"]


def test_every_close_code_is_a_row() -> None:
    assert rows("code | word") == {(str(close.code), close.word, close.client) for close in CLOSES}


def test_every_error_code_is_a_row() -> None:
    assert rows("code | meaning") == {(f"`{code}`", meaning) for code, meaning in ERRORS.items()}


def test_every_action_is_a_row() -> None:
    assert names({row[0] for row in rows("action")}) == RESERVED - {"pong"}


def test_the_fields_of_an_action_are_those_of_its_model() -> None:
    models = {name: builtin.model for name, builtin in BUILTINS.items()} | {
        "connect": frames.Connect,
        "ping": frames.Ping,
    }
    shown: dict[str, set[str]] = {}
    for named, fields, _ in rows("action"):
        for name in names({named}):
            shown.setdefault(name, set()).update(set(re.findall(r"[a-z_]+", fields)) - {"or"})
    shown["unsubscribe"].discard("recover")
    shown["leave_session"].discard("recover")
    shown["unwatch_live"].clear()

    assert shown == {name: set(model.model_fields) - {"id"} for name, model in models.items()}


def test_every_kind_of_channel_is_a_row() -> None:
    told = {name.partition(":")[0]: row[2] for row in rows("channel") for name in names({row[0]})}

    assert told == {kind: "durable" if kind in DURABLE_KINDS else "ephemeral" for kind in (*KINDS, BROADCAST)}


def test_every_claim_that_opens_channels_is_a_row() -> None:
    assert set(GRANTS) < names({row[0] for row in rows("claim")})


def test_every_status_of_an_answer_is_a_row() -> None:
    assert names({row[0] for row in rows("status | `ok`")}) == set(get_args(asks.Result)) - {"pending", "unchecked"} | {
        "invalid"
    }


def test_every_path_is_a_row() -> None:
    assert names({row[0] for row in rows("path")}) == set(PATHS)


def test_every_route_is_a_row() -> None:
    expected = {(f"`{row.method} {row.path[1:]}`", row.rank.name.lower(), row.summary) for row in ROWS}

    assert rows("route | rank") == expected


def test_every_alert_is_a_row() -> None:
    expected = {
        (f"`{rule.name}`", rule.severity, f"{rule.limit.threshold:.0f}", f"{rule.limit.seconds:g} s") for rule in RULES
    }

    assert {row[:4] for row in rows("rule | severity")} == expected


def test_every_metric_is_a_row_with_its_labels() -> None:
    table = rows("metric (`fairlead_…`)")
    expected = {f"fairlead_{name.removesuffix('_total')}": row[1] for row in table for name in names({row[0]})}

    counted = {metric.name: ", ".join(metric.labels) for metric in METRICS}
    assert expected == counted | {histogram.name: "histograms" for histogram in HISTOGRAMS}


def test_every_way_of_sending_is_a_row_and_every_row_exists() -> None:
    named = {call.partition("(")[0] for call in names({row[0] for row in rows("method")})}

    assert {name for name in vars(Sends) if name.startswith(("send_to", "broadcast"))} <= named
    assert not [name for name in named if not hasattr(fairlead.Backend, name)]
