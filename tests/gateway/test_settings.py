"""Settings come from the environment, by our names and by the older documents' (DEP-2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from fairlead_gateway import Settings

OLDER = {
    "WEBSOCKET_HOST": ("host", "::1", "::1"),
    "WEBSOCKET_PORT": ("port", "9100", 9100),
    "WEBSOCKET_MAX_CONNECTIONS": ("max_connections", "7", 7),
    "WEBSOCKET_PING_INTERVAL": ("heartbeat_interval_seconds", "11", 11),
    "WEBSOCKET_PING_TIMEOUT": ("heartbeat_timeout_seconds", "22", 22),
    "WEBSOCKET_CALLBACK_TIMEOUT": ("ask_timeout_seconds", "33", 33),
}


@pytest.mark.parametrize("variable", OLDER)
def test_the_older_documents_variables_are_understood(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    field, text, value = OLDER[variable]
    monkeypatch.setenv(variable, text)

    assert getattr(Settings(), field) == value


@pytest.mark.parametrize("variable", OLDER)
def test_our_own_name_wins_over_an_older_one(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    field, text, value = OLDER[variable]
    monkeypatch.setenv(variable, "127.0.0.9" if field == "host" else "5")
    monkeypatch.setenv(f"FAIRLEAD_{field.upper()}", text)

    assert getattr(Settings(), field) == value


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text("a-secret-of-more-than-thirty-two-bytes\n")
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET_FILE", str(tmp_path / "jwt"))

    settings = Settings()

    assert settings.jwt_secret.get_secret_value() == "a-secret-of-more-than-thirty-two-bytes"
    assert "thirty-two" not in repr(settings)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_ALLOWED_ORIGINS", "https://a.example, https://b.example,")

    assert Settings().allowed_origins == ("https://a.example", "https://b.example")


def test_settings_do_not_change_and_unknown_ones_are_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(no_such_setting=1)
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["connection", "broadcast", "sesion"])
def test_only_what_somebody_can_come_back_to_is_kept(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind} cannot be kept; choose among user, session"):
        Settings(durable=("user", kind))
