"""A mirror never stands still: whatever comes in whatever order, in the end it has the document or asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.javascript.gateway import GATEWAY
from tests.clients.javascript.package import node

OPENED = """
const client = made();
await client.connect();
const [gateway] = sockets;
const channel = "instance:i", changes = [];
const asked = (action) => gateway.said.filter((frame) => frame.action === action);
const answer = (frame, reply) => gateway.says({ type: "reply", ref: frame.id, ok: true, ...reply });
const patch = (version) => ({ type: "patch", channel, offset: version, version, patch: { [`v${version}`]: 1 } });
const mirror = client.instance("i");
mirror.onChange(({ version, patch }) => changes.push([version, patch === null]));
const opening = mirror.open().then(() => "here", (error) => error.code);
answer(asked("subscribe")[0], { channels: { [channel]: { offset: 5, epoch: "e" } } });
"""
SHOWN = """
console.log(JSON.stringify({ told, changes, asked: asked("get_state").length, document: mirror.document }));
"""


def run(folder: Path, program: str) -> dict[str, Any]:
    said: dict[str, Any] = node(folder, GATEWAY + OPENED + program + SHOWN, seconds=15)
    return said


def test_an_answer_that_leaves_a_hole_before_what_was_kept_is_asked_for_again(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        gateway.says({ type: "snapshot", channel, document: {}, version: 5 });
        await opening;
        gateway.says({ ...patch(8), offset: 6 });
        answer(asked("get_state")[0], { version: 6, document: { old: 6 } });
        await turn();
        answer(asked("get_state")[1], { version: 7, document: { old: 7 } });
        await turn();
        gateway.says({ ...patch(9), offset: 7 });
        client.close();
        """,
    )

    assert said["changes"] == [[5, True], [6, True], [7, True], [8, False], [9, False]]
    assert said["document"] == {"old": 7, "v8": 1, "v9": 1}
    assert said["asked"] == 2


def test_a_snapshot_that_does_not_follow_is_asked_for(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
        gateway.says(patch(6));
        while (!asked("get_state").length) await turn();
        answer(asked("get_state")[0], { version: 5, document: { a: 1 } });
        told.push(await opening);
        client.close();
        """,
    )

    assert said["changes"] == [[5, True], [6, False]]
    assert said["document"] == {"a": 1, "v6": 1}
    assert said["told"][-2:] == ["here", "stopped"]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("mirror.close();", "closed"),
        ("client.close();", "closed"),
        (
            """
            while (!asked("get_state").length) await turn();
            gateway.says({ type: "error", ref: asked("get_state")[0].id, code: "forbidden", message: "no" });
            """,
            "forbidden",
        ),
    ],
    ids=["not followed any more", "client closed", "not ours"],
)
def test_opening_never_waits_for_what_cannot_come(tmp_path: Path, end: str, code: str) -> None:
    said = run(tmp_path, f"{end} told.push(await opening); client.close();")

    assert code in said["told"]
    assert said["changes"] == []
