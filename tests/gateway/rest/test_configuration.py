"""Settings are shown, and nothing that is secret in them."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from fairlead_gateway.access.roles import Rank
from fairlead_gateway.rest.configuration import ADDRESSES, OPEN, Setting, shown
from fairlead_gateway.settings import Settings
from tests.gateway.rest.callers import ROLES
from tests.support.replica import SECRET, Replica
from tests.support.rest import rest

WORD = "hunter2-hunter2-hunter2-hunter2!"


def all_shown(**values: Any) -> dict[str, Setting]:
    settings = Settings(**values)
    return {name: shown(name, field, getattr(settings, name)) for name, field in Settings.model_fields.items()}


def test_no_secret_is_shown_wherever_it_stands() -> None:
    found = all_shown(
        jwt_secret=SecretStr(WORD),
        jwt_public_key=WORD,
        redis_url=SecretStr(f"redis://u:{WORD}@h"),
        authorizer_url=f"https://u:{WORD}@authorizer.example:8443/{WORD}?key={WORD}",
        jwt_jwks_url=f"https://login.example?key={WORD}",
    )

    assert WORD not in str(found)
    secrets = [found[name].value for name in ("jwt_secret", "jwt_public_key", "redis_url")]
    assert secrets == ["set"] * 3
    assert found["authorizer_url"].value == "https://authorizer.example:8443/…"
    assert found["jwt_jwks_url"].value == "https://login.example/…"


def test_a_text_that_nobody_has_decided_about_is_a_secret() -> None:
    field = Settings.model_fields["host"]

    assert shown("webhook", field, f"https://hooks.example/{WORD}").value == "set"
    assert shown("webhook", field, ("a", "b")).value == "set"
    assert shown("webhook", field, "").value == "not set"
    assert shown("webhook", field, "x").is_secret


def test_the_lists_name_settings_that_there_are_and_none_that_is_secret() -> None:
    fields = Settings.model_fields

    assert fields.keys() >= OPEN | ADDRESSES
    assert not [name for name in OPEN | ADDRESSES if fields[name].annotation is SecretStr]


def test_each_setting_says_what_it_is_about_and_whether_somebody_has_set_it() -> None:
    found = all_shown(port=9, jwt_secret=SecretStr(WORD))

    assert all(setting.about for setting in found.values())
    assert (found["port"].value, found["port"].is_default, found["host"].is_default) == (9, False, True)
    assert (found["log_format"].value, found["log_format"].is_secret) == ("auto", False)
    assert (found["jwt_secret"].is_default, found["authorizer_url"].value) == (False, "")


async def test_an_administrator_sees_those_of_the_replica_that_answers(replica: Replica) -> None:
    async with rest(replica, role=ROLES[Rank.ADMIN]) as api:
        config = await api.get("/config")
    values = {setting["name"]: setting["value"] for setting in config["settings"]}

    assert config["replica"].startswith("r1-")
    assert (values["lease_seconds"], values["prefix"], values["jwt_secret"]) == (3, "test_configuration", "set")
    assert values["admin_roles"] == ["admin"]
    assert SECRET not in str(config)
