"""Every command of the pages: its options exist, and what can be run here is run, line by line."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from redis import Redis

import fairlead
from fairlead.names import Names
from fairlead_gateway.cli.commands import app
from fairlead_gateway.rest.table import ROWS
from fairlead_gateway.settings import Settings
from tests.documents.life import life
from tests.documents.pages import PAGES, Block, blocks, blocks_in, spans
from tests.documents.unrun import UNRUN, is_named
from tests.support.client import Frame
from tests.support.redis import Server
from tests.support.replica import SECRET, Replica, environment, token, wait_until

BLOCKS = [block for block in blocks_in("sh") if not is_named(block) and "curl" not in block.text]
SECONDS = 30.0
LISTENS = 20.0

CALL = re.compile(r"(?:^|\s)(?:\.venv/bin/)?fairlead ((?:[a-z]|-).*)")


def commands(block: Block) -> list[str]:
    """The commands of a block, without comments; a backslash joins lines."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in (re.sub(r"\s+# .*|^# .*", "", line).strip() for line in lines) if line]


CALLS = [
    pytest.param(found[1], id=f"{block.place} {found[1]}")
    for block in blocks_in("sh")
    for line in commands(block)
    if (found := CALL.search(line))
]
CALLS += [
    pytest.param(found[1], id=f"{page} {found[1]}")
    for page in PAGES
    for span in spans(page)
    if (found := CALL.match(span)) and span.partition(" ")[2].partition(" ")[0].islower()
]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_has_a_command_and_options_that_exist(call: str) -> None:
    words = [word for word in shlex.split(call.partition(" | ")[0]) if word not in ("/", "…")]
    group: Any = typer.main.get_command(app)
    while words and hasattr(group, "commands") and words[0].islower() and not words[0].startswith("-"):
        group = group.commands[words.pop(0)]

    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert used <= known | {"--help", "-h", "--version"}


class Shell:
    """Runs commands as a page shows them, with addresses of this test in place of those of the page."""

    def __init__(self, server: Server, replica: Replica) -> None:
        secret = {"redis_url": server.url, "jwt_secret": SECRET}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = environment(**secret) | {"PATH": path, "TOKEN": token("root", role="admin")}
        self._replica = replica
        self._port = server.port

    def words(self, command: str) -> str:
        command = command.replace(".venv/bin/", "").replace("redis-cli", f"redis-cli -p {self._port}")
        command = re.sub(r"(?:localhost|127\.0\.0\.1):8000", f"{self._replica.host}:{self._replica.port}", command)
        return f"{command} --url {self._replica.url}" if command.startswith("fairlead listen") else command

    def run(self, command: str) -> str:
        """What *command* says; an error when it fails."""
        ended = subprocess.run(
            ["bash", "-c", self.words(command)],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def begin(self, command: str) -> subprocess.Popen[str]:
        """Start one that goes on until it is ended."""
        words = shlex.split(self.words(command))
        return subprocess.Popen(words, env=self._environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def shell(server: Server, fleet: list[Replica]) -> Iterator[Shell]:
    with life(server.url, fleet):
        yield Shell(server, fleet[0])


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_a_block_runs(block: Block, shell: Shell, server: Server) -> None:
    before = taken(server)
    for command in commands(block):
        if not command.replace(".venv/bin/", "").startswith("fairlead listen"):
            assert shell.run(command)
            continue
        listening = shell.begin(command)
        try:
            assert listening.stdout is not None
            assert listening.stdout.readline()
        finally:
            listening.terminate()
            listening.wait(SECONDS)
            listening.stdout.close()
    if "XADD" in block.text:
        wait_until(lambda: taken(server) > before, LISTENS, "the ingress was read")


def taken(server: Server) -> int:
    """How many messages of other languages have been read from the ingress, and dealt with."""
    with Redis.from_url(server.url) as redis:
        groups = redis.xinfo_groups(Names().ingress)
        return sum(int(one["entries-read"] or 0) - int(one["pending"]) for one in groups)


def test_what_an_http_call_is_answered_with(server: Server, fleet: list[Replica], shell: Shell) -> None:
    (call,) = [block for block in blocks_in("sh") if "curl" in block.text]
    (shown,) = [json.loads(block.text) for block in blocks_in("json") if '"closed"' in block.text]

    with fairlead.connect_sync(server.url) as fl:
        wait_until(lambda: fl.is_online("42"), LISTENS, "42 is connected")
    answer: Frame = json.loads(shell.run(commands(call)[0]))

    assert answer.keys() == shown.keys()
    assert answer["closed"]
    assert all(one.keys() == shown["closed"][0].keys() for one in answer["closed"])


@pytest.mark.parametrize("block", blocks_in("http"), ids=lambda block: block.place)
def test_http_lines_are_routes_that_take_such_bodies(block: Block) -> None:
    for line in block.text.splitlines():
        method, path, body = line.split(maxsplit=2)
        path = path.removeprefix("/api/v1/websocket")
        (row,) = [row for row in ROWS if row.method == method and re.fullmatch(pattern(row.path), path)]
        row.body.model_validate(json.loads(body))


def pattern(path: str) -> str:
    """What matches a route, whatever is put in place of its names."""
    return re.sub(r"\{\w+\}", r"[^/]+", path)


@pytest.mark.parametrize("block", blocks_in("env"), ids=lambda block: block.place)
def test_lines_of_an_environment_are_settings_that_are_taken(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in block.text.splitlines():
        name, _, value = re.sub(r"\s+# .*", "", line).partition("=")
        assert name.removesuffix("_FILE").removeprefix("FAIRLEAD_").lower() in Settings.model_fields
        if not name.endswith("_FILE"):
            monkeypatch.setenv(name, value)
    Settings()


def test_every_block_is_of_a_kind_that_is_looked_at() -> None:
    looked_at = {"python", "js", "sh", "json", "hex", "http", "env"}
    others = [block for block in blocks() if block.language not in looked_at]

    assert [block.place for block in others if not is_named(block)] == []


def test_what_is_named_as_not_run_is_there() -> None:
    assert [begins for begins in UNRUN if not any(block.text.lstrip().startswith(begins) for block in blocks())] == []


@pytest.mark.parametrize("block", blocks_in("json"), ids=lambda block: block.place)
def test_json_is_json(block: Block) -> None:
    decoder, text = json.JSONDecoder(), block.text.strip()
    while text:
        _, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
