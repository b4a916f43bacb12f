"""A backend's message from one shell, a client in another, a real replica between them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys

import pytest
import redis

from fairlead.names import Names
from fairlead_gateway.cli.output import Status
from tests.cli.conftest import Fairlead
from tests.support.replica import Replica, token, wait_until

HELLO = '{"type":"hello","content":"from a shell"}'
SECONDS = 60.0


def listener(replica: Replica, *args: str) -> subprocess.Popen[str]:
    """``fairlead listen`` in a process of its own, connected."""
    opened = openings(replica)
    command = [sys.executable, "-m", "fairlead_gateway", "listen", "--url", replica.url, *args]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: openings(replica) > opened, SECONDS, "the listener is connected")
    return process


def openings(replica: Replica) -> int:
    return [event["event"] for event in replica.events()].count("connection opened")


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def test_what_is_sent_is_heard(replica: Replica, fairlead: Fairlead) -> None:
    client = listener(replica, "--user", "42", "--count", "1", "--timeout", "15")

    sent = fairlead("send", "user:42", HELLO)
    status, out, err = ended(client)

    assert (sent.status, status) == (Status.OK, Status.OK)
    assert "1 replica(s) with listeners" in sent.out and "offset 1" in sent.out
    assert out.startswith("hello  ") and "from a shell" in out
    assert "connected to replica cli" in err


def test_programs_get_frames_and_receipts_in_json(replica: Replica, fairlead: Fairlead) -> None:
    client = listener(replica, "--user", "42", "--count", "1", "--timeout", "15", "--json")

    receipt = fairlead("send", "user:42", HELLO, "--id", "m-1", "--json").json
    _, out, _ = ended(client)

    frames = [json.loads(line) for line in out.splitlines()]
    assert [frame["type"] for frame in frames] == ["connection_established", "hello"]
    assert (receipt["id"], receipt["offset"], receipt["receivers"]) == ("m-1", 1, 1)
    assert (frames[1]["id"], frames[1]["offset"]) == ("m-1", 1)


def test_who_listens_acknowledges(replica: Replica, fairlead: Fairlead) -> None:
    client = listener(replica, "--user", "42", "--timeout", "3")

    told = fairlead("send", "user:42", HELLO, "--ack", "--json")
    ended(client)

    assert (told.status, told.json["status"]) == (Status.OK, "delivered")
    assert told.json["acknowledged_by"]["user_id"] == "42"


def test_who_only_watches_does_not_acknowledge(replica: Replica, fairlead: Fairlead) -> None:
    client = listener(replica, "--user", "42", "--no-ack", "--timeout", "3")

    told = fairlead("send", "user:42", HELLO, "--ack", "--ack-timeout", "0.3")
    ended(client)

    assert told.status == Status.NO


@pytest.mark.usefixtures("configured")
def test_what_nobody_acknowledges_ends_with_no(fairlead: Fairlead) -> None:
    told = fairlead("send", "user:42", HELLO, "--ack", "--ack-timeout", "0.2")
    facts = fairlead("send", "user:42", HELLO, "--ack", "--ack-timeout", "0.2", "--json")
    unasked = fairlead("send", "user:42", HELLO, "--json")

    assert (told.status, facts.status, unasked.status) == (Status.NO, Status.NO, Status.OK)
    assert told.out.endswith("; expired\n")
    assert (facts.json["status"], facts.json["acknowledged_by"]) == ("expired", None)
    assert unasked.json["status"] == "sent"


@pytest.mark.usefixtures("configured")
def test_a_wait_of_no_time_is_refused(fairlead: Fairlead) -> None:
    outcome = fairlead("send", "user:42", HELLO, "--ack", "--ack-timeout", "0")

    assert outcome.status == Status.USAGE
    assert "ack_timeout" in outcome.err


def test_other_channels_are_heard_when_asked_for(replica: Replica, fairlead: Fairlead) -> None:
    client = listener(replica, "--user", "42", "--channel", "session:s1", "--channel", "topic:t", "--count", "1")
    subscribed = ["PUBSUB", "NUMSUB", Names(os.environ["FAIRLEAD_PREFIX"]).pubsub("topic:t")]
    wait_until(lambda: _redis(*subscribed) == 1, SECONDS, "the topic is heard")

    fairlead("send", "topic:t", HELLO)

    assert "topic:t" in ended(client)[1]


def _redis(*command: str) -> int:
    with redis.Redis.from_url(os.environ["FAIRLEAD_REDIS_URL"], decode_responses=True) as client:
        return int(client.execute_command(*command)[1])


def test_a_message_can_be_piped(configured: None, fairlead: Fairlead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(HELLO))

    outcome = fairlead("send", "user:42", "-")

    assert "nobody is listening now" in outcome.out


def test_the_same_id_is_not_sent_twice(configured: None, fairlead: Fairlead) -> None:
    first = fairlead("send", "user:42", HELLO, "--id", "m-1", "--json").json
    second = fairlead("send", "user:42", HELLO, "--id", "m-1", "--json").json

    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert second["offset"] == first["offset"]


def test_a_wait_that_runs_out_is_status_1(replica: Replica, fairlead: Fairlead) -> None:
    outcome = fairlead("listen", "--user", "42", "--url", replica.url, "--count", "1", "--timeout", "0.5")

    assert outcome.status == Status.NO


def test_a_token_of_somebody_else_is_refused_with_the_reason(replica: Replica, fairlead: Fairlead) -> None:
    good = token("42")
    wrong = ("--token", good[:-6] + "AAAAAA", "--url", replica.url, "--timeout", "10")

    outcome = fairlead("listen", *wrong)
    with_channel = fairlead("listen", *wrong, "--channel", "topic:t")

    assert outcome.status == with_channel.status == Status.REFUSED
    assert "4403" in outcome.err and good[-40:-6] not in outcome.err


def test_a_channel_that_the_token_does_not_allow_is_told_as_an_error(replica: Replica, fairlead: Fairlead) -> None:
    narrow = token("42", topics=["mine"])

    outcome = fairlead("listen", "--token", narrow, "--channel", "topic:theirs", "--url", replica.url, "--timeout", "1")

    assert "forbidden" in outcome.err


def test_ctrl_c_ends_listening_without_a_traceback(replica: Replica) -> None:
    client = listener(replica, "--user", "42")

    client.send_signal(signal.SIGINT)
    status, _, err = ended(client)

    assert status == Status.INTERRUPTED
    assert "Traceback" not in err


def test_a_gateway_that_comes_back_is_listened_to_again(replica: Replica, fairlead: Fairlead) -> None:
    client = listener(replica, "--user", "42", "--count", "2", "--patience", "40")
    fairlead("send", "user:42", HELLO)

    replica.stop()
    fairlead("send", "user:42", '{"type":"hello","content":"while nobody was there"}')
    replica.start()
    status, out, err = ended(client)

    assert status == Status.OK
    assert [line.partition("  ")[0] for line in out.splitlines()] == ["hello", "hello"]
    assert "while nobody was there" in out
    assert "4200" in err and "coming back" in err and err.count("connected to replica") == 2


def test_a_gateway_that_ends_is_told_with_its_code(replica: Replica) -> None:
    client = listener(replica, "--user", "42", "--patience", "0.5")

    replica.stop()
    status, _, err = ended(client)

    assert status == Status.UNAVAILABLE
    assert "4200" in err
