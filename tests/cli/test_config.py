"""What is set, what can be set, what is unsafe."""

from __future__ import annotations

import os

import pytest

from fairlead_gateway.cli.devfile import DevServer, announced
from fairlead_gateway.cli.output import Status
from fairlead_gateway.settings import Settings
from tests.cli.conftest import Fairlead

SECRET = "9f86d081884c7d659a2feaa0c55ad015"


def test_show_tells_every_setting_and_where_it_comes_from(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_PORT", "9000")

    lines = {line.split()[0]: line.split()[1:] for line in fairlead("config", "show").out.splitlines()}

    assert set(lines) == {f"FAIRLEAD_{name.upper()}" for name in Settings.model_fields}
    assert lines["FAIRLEAD_PORT"] == ["set", "9000"]
    assert lines["FAIRLEAD_HOST"] == ["default", "127.0.0.1"]


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_show_leaves_secrets_out(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "rediss://gateway:hunter2@one:6379/0,rediss://gateway:hunter2@two:6379/0")

    outcome = fairlead("config", "show", *flags)

    assert SECRET not in outcome.out and "hunter2" not in outcome.out
    assert "gateway:***@two" in outcome.out


@pytest.mark.parametrize("command", ["show", "check"])
def test_beside_a_development_server_it_is_said_whose_settings_these_are(fairlead: Fairlead, command: str) -> None:
    with announced(DevServer(os.getpid(), "redis://127.0.0.1:7777/0", "fl", SECRET, ("ws://127.0.0.1:8000/ws",))):
        beside = fairlead("config", command)
    alone = fairlead("config", command)

    assert f"fairlead dev (process {os.getpid()}) makes its own" in beside.err
    assert (beside.out, alone.err) == (alone.out, "")


def test_env_explains_every_variable(fairlead: Fairlead) -> None:
    told = fairlead("config", "env", "--json").json

    assert set(told) == {f"FAIRLEAD_{name.upper()}" for name in Settings.model_fields}
    assert all(entry["help"] for entry in told.values())


def test_env_gives_the_defaults_back(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    untouched = Settings()

    for line in fairlead("config", "env").out.splitlines():
        name, is_assignment, value = line.removeprefix("# ").partition("=")
        if is_assignment and name.startswith("FAIRLEAD_"):
            monkeypatch.setenv(name, value)

    assert Settings() == untouched
    assert len(Settings().model_fields_set) == len(Settings.model_fields)


def test_check_refuses_what_serve_would_refuse(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOST", "0.0.0.0")
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)
    monkeypatch.setenv("FAIRLEAD_ALLOWED_ORIGINS", "*")

    outcome = fairlead("config", "check")

    assert outcome.status == Status.CONFIGURATION
    assert "refused  any_origin" in outcome.out


def test_check_refuses_what_a_replica_can_do_nothing_with(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "http://gateway:hunter2@nope")

    told, facts = fairlead("config", "check"), fairlead("config", "check", "--json")

    assert told.status == facts.status == Status.CONFIGURATION
    assert "refused  FAIRLEAD_REDIS_URL: not the URL of one Redis" in told.out
    assert "hunter2" not in told.out + facts.out
    assert facts.json["ok"] is False


def test_check_shows_what_was_waived(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOST", "0.0.0.0")
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)
    monkeypatch.setenv("FAIRLEAD_ALLOWED_ORIGINS", "*")
    monkeypatch.setenv("FAIRLEAD_INSECURE", "any_origin")

    outcome = fairlead("config", "check", "--json")

    assert outcome.status == Status.OK
    assert [(finding["rule"], finding["waived"]) for finding in outcome.json["findings"]] == [("any_origin", True)]


def test_check_is_content_with_safe_settings(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOST", "0.0.0.0")
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)

    assert fairlead("config", "check").status == Status.OK


def test_a_port_that_clients_have_is_refused_to_operators(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)
    monkeypatch.setenv("FAIRLEAD_PORT", "9001")
    monkeypatch.setenv("FAIRLEAD_ADMIN_PORT", "9001")

    told, refused = fairlead("config", "check"), fairlead("serve")

    assert told.status == refused.status == Status.CONFIGURATION
    assert "refused  same_port: " in told.out
    assert "refused to start: operators and clients" in refused.err

    monkeypatch.setenv("FAIRLEAD_ADMIN_PORT", "9000")

    assert fairlead("config", "check").status == Status.OK
    one_of_two = fairlead("serve", "--workers", "2")
    assert (one_of_two.status, "Traceback" in one_of_two.err) == (Status.CONFIGURATION, False)
    assert "FAIRLEAD_ADMIN_PORT" in one_of_two.err


def test_a_variable_that_is_no_setting_is_told_with_the_nearest_name(
    fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", SECRET)
    for name in ("ALERT_WEBHOK_URL", "ZZZ", "TEST_SCALE", "REQUIRE_ALL", "JWT_SECRET_FILE"):
        monkeypatch.setenv(f"FAIRLEAD_{name}", SECRET if name != "JWT_SECRET_FILE" else "/dev/null")

    told, facts = fairlead("config", "check"), fairlead("config", "check", "--json")

    assert told.status == facts.status == Status.OK
    assert facts.json["unknown"] == {"FAIRLEAD_ALERT_WEBHOK_URL": "FAIRLEAD_ALERT_WEBHOOK_URL", "FAIRLEAD_ZZZ": ""}
    assert "unknown  FAIRLEAD_ALERT_WEBHOK_URL is no setting: FAIRLEAD_ALERT_WEBHOOK_URL is" in told.out
    assert "unknown  FAIRLEAD_ZZZ is no setting" in told.out
    assert SECRET not in told.out + facts.out
