"""Handlers may end or restart the client in the middle of anything: nothing is told afterwards, and nothing stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.javascript.gateway import GATEWAY
from tests.clients.javascript.package import node


@pytest.mark.parametrize(
    ("when", "seen"),
    [
        ("connecting", ["connecting", "stopped"]),
        ("open", ["connecting", "open", "stopped"]),
        ("waiting", ["connecting", "open", "waiting", "stopped"]),
    ],
)
def test_it_may_be_closed_while_a_state_is_told(tmp_path: Path, when: str, seen: list[str]) -> None:
    program = f"""
    const client = made();
    client.onState(({{ state }}) => state === "{when}" && client.close());
    const ended = client.connect().then(() => "open", (error) => error.code);
    await turn();
    sockets[0]?.ends(1006, "");
    await turn();
    console.log(JSON.stringify({{ told, ended: await ended, let_go: sockets.every((socket) => socket.ended) }}));
    """

    said = node(tmp_path, GATEWAY + program, seconds=10)

    assert said == {"told": seen, "ended": "open" if when == "waiting" else "closed", "let_go": True}


def test_it_may_be_closed_while_a_message_or_a_recovery_is_told(tmp_path: Path) -> None:
    program = """
    const first = made({ positions: { "user:42": { offset: 1, epoch: "e" } } });
    first.onRecovered(() => first.close());
    await first.connect().catch(() => {});
    const second = made();
    second.on("*", () => second.close());
    await second.connect();
    const waiting = second.request("quote").catch((error) => error.code);
    sockets[1].says({ type: "hello", channel: "user:42", offset: 4, requires_ack: true, id: "m" });
    sockets[1].says({ type: "hello", channel: "user:42", offset: 5 });
    console.log(JSON.stringify({ told, waiting: await waiting, states: [first.state, second.state] }));
    """

    said = node(tmp_path, GATEWAY + program, seconds=10)

    assert said["told"] == ["connecting", "open", "user:42", "stopped", "connecting", "open", "hello", "stopped"]
    assert said["waiting"] == "closed"
    assert said["states"] == ["stopped", "stopped"]


def test_it_may_be_connected_again_while_its_end_is_told(tmp_path: Path) -> None:
    program = """
    const client = made();
    let again;
    client.onState(({ state, code }) => state === "stopped" && code === 4003 && (again = client.connect()));
    await client.connect();
    sockets[0].ends(4003, "kicked: go away");
    await again;
    const { state } = client;
    client.close();
    console.log(JSON.stringify({ told, state, said: sockets[1].said }));
    """

    said = node(tmp_path, GATEWAY + program, seconds=10)

    assert said["state"] == "open"
    assert said["told"] == ["connecting", "open", "stopped", "connecting", "open", "user:42", "stopped"]
    assert said["said"] == [{"action": "connect", "recover": {"user:42": {"offset": 3, "epoch": "e"}}}]


def test_what_an_old_socket_still_says_is_not_heard(tmp_path: Path) -> None:
    program = """
    const client = made({ pongTimeoutMs: 30 });
    await client.connect();
    const kept = { ...sockets[0] };
    client.check();
    while (sockets.length < 2 || client.state !== "open") await turn();
    kept.onmessage({ data: JSON.stringify({ type: "ghost" }) });
    kept.onclose({ code: 4003, reason: "kicked" });
    sockets[1].says({ type: "hello" });
    client.close();
    console.log(JSON.stringify(told));
    """

    said = node(tmp_path, GATEWAY + program, seconds=10)

    assert said == ["connecting", "open", "waiting", "connecting", "open", "user:42", "hello", "stopped"]


def test_handlers_of_errors_that_fail_themselves_end_in_the_console(tmp_path: Path) -> None:
    program = """
    const complaints = [];
    console.error = (error) => complaints.push(error.message);
    const client = made();
    client.onError(() => { throw new Error("at once"); });
    client.onError(async () => { throw new Error("later"); });
    client.on("hello", async () => { throw new Error("first"); });
    await client.connect();
    sockets[0].says({ type: "hello" });
    await turn();
    client.close();
    console.log(JSON.stringify({ told, complaints }));
    """

    said = node(tmp_path, GATEWAY + program, seconds=10)

    assert said["told"] == ["connecting", "open", "hello", "first", "stopped"]
    assert sorted(said["complaints"]) == ["at once", "later"]
