"""Bad input: one clear line on standard error, the documented status, never a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fairlead.version import __version__
from fairlead_gateway.cli.output import MEANINGS, Status
from tests.cli.conftest import Fairlead
from tests.support.redis import free_port
from tests.support.replica import environment

HELLO = '{"type":"hello"}'

MISTAKES = {
    "unknown command": (("sned",), {}, Status.USAGE, "send"),
    "missing argument": (("send",), {}, Status.USAGE, "CHANNEL"),
    "unknown option": (("send", "--nope", "user:42", HELLO), {}, Status.USAGE, "--nope"),
    "no subcommand": (("token",), {}, Status.USAGE, "token --help"),
    "message is not JSON": (("send", "user:42", "hello"), {}, Status.USAGE, "not JSON"),
    "message is no object": (("send", "user:42", "[1]"), {}, Status.USAGE, "object"),
    "message has no type": (("send", "user:42", "{}"), {}, Status.USAGE, "type"),
    "message cannot be carried": (("send", "user:42", '{"type":"x","n":NaN}'), {}, Status.USAGE, ""),
    "channel has no kind": (("send", "42", HELLO), {}, Status.USAGE, "kind:id"),
    "channel of unknown kind": (("send", "room:42", HELLO), {}, Status.USAGE, "room"),
    "channel with a space": (("send", "user:4 2", HELLO), {}, Status.USAGE, "128"),
    "redis is away": (
        ("send", "user:42", HELLO),
        {"REDIS_URL": "redis://:hunter2@127.0.0.1:1/3"},
        Status.UNAVAILABLE,
        "it is looked for at 127.0.0.1:1/3: start it, set FAIRLEAD_REDIS_URL",
    ),
    "sentinels are away": (
        ("token", "revoke", "--user", "42"),
        {"REDIS_URL": "redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster/0"},
        Status.UNAVAILABLE,
        "mymaster behind the Sentinels 127.0.0.1:1,127.0.0.1:2",
    ),
    "redis is a cluster among others": (
        ("serve",),
        {"REDIS_URL": "redis+cluster://:hunter2@h1,redis://h2", "JWT_SECRET": "9f86d081884c7d659a2feaa0c55ad015"},
        Status.CONFIGURATION,
        "refused to start: FAIRLEAD_REDIS_URL: a cluster stands alone",
    ),
    "redis address is none": (("send", "user:42", HELLO), {"REDIS_URL": "x"}, Status.CONFIGURATION, "redis://"),
    "redis address is none to serve": (
        ("serve",),
        {"REDIS_URL": "x", "JWT_SECRET": "9f86d081884c7d659a2feaa0c55ad015"},
        Status.CONFIGURATION,
        "FAIRLEAD_REDIS_URL",
    ),
    "port is no number": (("config", "show"), {"PORT": "eighty"}, Status.CONFIGURATION, "FAIRLEAD_PORT"),
    "port out of range": (("serve", "--port", "70000"), {}, Status.CONFIGURATION, "FAIRLEAD_PORT"),
    "secret file is missing": (("config", "show"), {"JWT_SECRET_FILE": "/nowhere"}, Status.CONFIGURATION, "/nowhere"),
    "no worker": (("serve", "--workers", "0"), {}, Status.USAGE, "workers"),
    "nobody may enter": (("serve",), {}, Status.CONFIGURATION, "FAIRLEAD_JWT_SECRET"),
    "secret too short": (("serve",), {"JWT_SECRET": "short"}, Status.CONFIGURATION, "openssl rand"),
    "key is none": (("serve",), {"JWT_PUBLIC_KEY": "-----BEGIN"}, Status.CONFIGURATION, "refused"),
    "anonymous in public": (
        ("serve", "--host", "0.0.0.0"),
        {"JWT_SECRET": "9f86d081884c7d659a2feaa0c55ad015", "ALLOW_ANONYMOUS": "1"},
        Status.CONFIGURATION,
        "FAIRLEAD_ALLOW_ANONYMOUS",
    ),
    "token without a secret": (("token", "create", "--user", "42"), {}, Status.CONFIGURATION, "FAIRLEAD_JWT_SECRET"),
    "token for no id": (
        ("token", "create", "--user", "4 2"),
        {"JWT_SECRET": "9f86d081884c7d659a2feaa0c55ad015"},
        Status.USAGE,
        "user id",
    ),
    "token for ever": (
        ("token", "create", "--user", "42", "--ttl", "ever"),
        {"JWT_SECRET": "9f86d081884c7d659a2feaa0c55ad015"},
        Status.USAGE,
        "15m",
    ),
    "metadata is not JSON": (
        ("token", "create", "--user", "42", "--metadata", "x"),
        {"JWT_SECRET": "9f86d081884c7d659a2feaa0c55ad015"},
        Status.USAGE,
        "--metadata",
    ),
    "ask nobody": (("ask", "", "Go on?"), {}, Status.USAGE, "responder"),
    "ask without a question": (("ask", "user:ada"), {}, Status.USAGE, "MESSAGE"),
    "ask for no time": (("ask", "ada", "Go on?", "--timeout", "0"), {}, Status.USAGE, "1 to 86400"),
    "ask to raise": (("ask", "ada", "Go on?", "--on-timeout", "raise"), {}, Status.USAGE, "--on-timeout"),
    "ask to go into danger": (
        ("ask", "ada", "Go on?", "--severity", "danger", "--on-timeout", "proceed"),
        {},
        Status.USAGE,
        "danger",
    ),
    "ask with two of one value": (
        ("ask", "ada", "Where?", "--choice", "eu", "--choice", "eu=EU"),
        {},
        Status.USAGE,
        "value",
    ),
    "ask with no value": (("ask", "ada", "Where?", "--choice", "=EU"), {}, Status.USAGE, "value"),
    "form is not JSON": (("ask", "ada", "?", "--schema", "ports"), {}, Status.USAGE, "not JSON"),
    "form is no object": (("ask", "ada", "?", "--schema", "[1]"), {}, Status.USAGE, "object"),
    "form is not flat": (
        ("ask", "ada", "?", "--schema", '{"type":"object","properties":{"a":{"type":"object"}}}'),
        {},
        Status.USAGE,
        "flat",
    ),
    "ask while redis is away": (
        ("ask", "ada", "Go on?"),
        {"REDIS_URL": "redis://127.0.0.1:1/0"},
        Status.UNAVAILABLE,
        "Redis",
    ),
    "listen as nobody": (("listen",), {}, Status.USAGE, "--user"),
    "listen to no channel": (("listen", "--user", "42", "--channel", "x"), {}, Status.USAGE, "kind:id"),
    "listen where nobody is": (
        ("listen", "--token", "x", "--url", f"ws://127.0.0.1:{free_port()}/ws"),
        {},
        Status.UNAVAILABLE,
        "cannot connect",
    ),
    "listen at no address": (("listen", "--token", "x", "--url", "http://x"), {}, Status.USAGE, "ws://"),
    "dev for nobody": (("dev", "--user", "4 2"), {}, Status.USAGE, "user"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_a_status(mistake: str, fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    args, env, status, hint = MISTAKES[mistake]
    for name, value in env.items():
        monkeypatch.setenv(f"FAIRLEAD_{name}", value)

    outcome = fairlead(*args)

    assert outcome.status == status
    assert outcome.out == ""
    assert outcome.err.startswith("fairlead: ") and outcome.err.count("\n") == 1
    assert hint in outcome.err


def test_a_mistake_does_not_repeat_a_secret(fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "nonsense://:hunter2@127.0.0.1:1/0")
    monkeypatch.setenv("FAIRLEAD_JWT_SECRET", "hunter3")

    said = fairlead("send", "user:42", HELLO).err + fairlead("serve").err

    assert "hunter" not in said


def test_every_exit_status_is_explained_by_help(fairlead: Fairlead) -> None:
    outcome = fairlead("--help")

    words = " ".join(outcome.out.split())
    assert outcome.status == Status.OK
    assert set(MEANINGS) == set(Status)
    assert all(f"{status.value} {meaning}" in words for status, meaning in MEANINGS.items())


def test_without_arguments_there_is_help(fairlead: Fairlead) -> None:
    assert "Usage: fairlead" in fairlead().out


def test_the_version_is_told(fairlead: Fairlead) -> None:
    assert fairlead("--version").out.strip() == __version__


def test_the_command_and_the_module_are_the_same() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "fairlead_gateway", "token"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (said.returncode, said.stdout) == (Status.USAGE, "")
    assert said.stderr.startswith("fairlead: ")


def test_the_library_without_the_gateway_says_what_to_install() -> None:
    program = "import sys; sys.modules['typer'] = None; from fairlead_gateway.cli import main; main()"

    said = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )

    assert said.returncode == Status.NO
    assert said.stderr.startswith("fairlead: typer is not installed") and said.stderr.count("\n") == 1
    assert "pip install 'fairlead[dev]'" in said.stderr and "'fairlead[gateway]'" in said.stderr
