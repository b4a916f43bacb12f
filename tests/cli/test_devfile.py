"""How commands find a development server, and whose word they do not take for it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead_gateway.cli.configured import reachable
from fairlead_gateway.cli.devfile import DevServer, announced, find, path

SERVER = DevServer(os.getpid(), "redis://127.0.0.1:7777/0", "fl", "s" * 40, ("ws://127.0.0.1:8000/ws",))


def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=30)
    return ended.pid


def test_a_server_is_found_while_it_is_announced() -> None:
    with announced(SERVER):
        assert find() == SERVER

    assert find() is None
    assert not path().exists()


def test_only_its_user_can_read_the_file() -> None:
    with announced(SERVER):
        assert stat.S_IMODE(path().stat().st_mode) == 0o600
        assert stat.S_IMODE(path().parent.stat().st_mode) == 0o700


def test_a_server_that_was_killed_is_not_found() -> None:
    with announced(DevServer(dead_pid(), *list(SERVER_FACTS)[1:])):
        assert find() is None


SERVER_FACTS = (SERVER.pid, SERVER.redis_url, SERVER.prefix, SERVER.secret, SERVER.urls)


def test_the_latest_server_is_found_and_an_earlier_one_does_not_take_it_away() -> None:
    earlier = DevServer(os.getppid(), *list(SERVER_FACTS)[1:])
    with announced(earlier):
        with announced(SERVER):
            pass
        with announced(SERVER):
            path().write_text(path().read_text())
            assert find() == SERVER

    assert find() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"urls": 3}', '{"pid": 1, "urls": [], "more": 1}'])
def test_a_broken_file_is_no_server(text: str) -> None:
    with announced(SERVER):
        path().write_text(text)

        assert find() is None


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_that_others_could_read_or_write_is_not_believed(mode: int) -> None:
    with announced(SERVER):
        path().chmod(mode)

        assert find() is None


def test_a_folder_that_others_could_write_is_not_believed() -> None:
    with announced(SERVER):
        path().parent.chmod(0o777)

        assert find() is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    with announced(SERVER):
        elsewhere = tmp_path / "elsewhere.json"
        path().rename(elsewhere)
        path().symlink_to(elsewhere)

        assert find() is None


def test_nothing_is_announced_in_a_folder_that_others_could_write() -> None:
    path().parent.mkdir(parents=True)
    path().parent.chmod(0o777)

    with pytest.raises(PermissionError), announced(SERVER):
        pass


def test_commands_use_the_announced_server_and_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    with announced(SERVER):
        settings, server = reachable()

    assert server == SERVER
    assert settings.redis_url.get_secret_value() == SERVER.redis_url
    assert settings.jwt_secret.get_secret_value() == SERVER.secret
    assert str(SERVER.pid) in capsys.readouterr().err


def test_a_configured_redis_goes_before_an_announced_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "redis://elsewhere:6379/0")

    with announced(SERVER):
        settings, server = reachable()

    assert server is None
    assert settings.redis_url.get_secret_value() == "redis://elsewhere:6379/0"
