"""``/metrics``: names and labels that boards and alerts rely on, true figures, and a price that does not matter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from fairlead.codes import CLOSES, ERRORS
from fairlead_gateway.admin.metrics import PROCESS
from fairlead_gateway.monitor.tallies import OTHER, Tallies
from tests.gateway.running import Gateway, serving, settings_for

DOCUMENTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "fairlead_build_info": ("gauge", ("version",)),
    "fairlead_ready": ("gauge", ()),
    "fairlead_connections": ("gauge", ()),
    "fairlead_channels": ("gauge", ("kind",)),
    "fairlead_connections_opened": ("counter", ()),
    "fairlead_connections_closed": ("counter", ("code", "word")),
    "fairlead_connections_refused": ("counter", ("word",)),
    "fairlead_messages_received": ("counter", ()),
    "fairlead_messages_sent": ("counter", ()),
    "fairlead_messages_dropped": ("counter", ()),
    "fairlead_messages_repaired": ("counter", ()),
    "fairlead_histories_broken": ("counter", ()),
    "fairlead_recoveries": ("counter", ("recovered",)),
    "fairlead_errors": ("counter", ("code",)),
    "fairlead_fanout_backlog_bytes": ("gauge", ()),
    "fairlead_redis_link_up": ("gauge", ()),
    "fairlead_redis_hears_itself": ("gauge", ()),
    "fairlead_redis_link_losses": ("counter", ()),
    "fairlead_lease_held": ("gauge", ()),
    "fairlead_streams_owed_entries": ("gauge", ()),
    "fairlead_streams_dropped_entries": ("counter", ()),
    "fairlead_questions_resolved": ("counter", ("outcome",)),
    "fairlead_webhook_deliveries": ("counter", ("result",)),
    "fairlead_background_tasks": ("gauge", ()),
    "fairlead_ping_round_trip_seconds": ("histogram", ("le",)),
    "fairlead_action_duration_seconds": ("histogram", ("le",)),
    "fairlead_delivery_lag_seconds": ("histogram", ("le",)),
    "fairlead_question_wait_seconds": ("histogram", ("le",)),
    "fairlead_loop_lag_seconds": ("histogram", ("le",)),
}
"""Changing one of these breaks boards and alerts of others: it takes a new major version."""

LINES = 400
"""Of a scrape at most, however many clients there are."""


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Gateway]:
    async with serving(settings_for(redis_url)) as running:
        yield running


async def scraped(gateway: Gateway, accept: str = "") -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}") as http:
        return await http.get("/metrics", headers={"accept": accept} if accept else {})


async def figures(gateway: Gateway) -> dict[str, float]:
    """Samples by name and labels: ``fairlead_errors_total{code=forbidden}``."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families((await scraped(gateway)).text):
        for name, labels, value, *_ in family.samples:
            told = ",".join(f"{label}={value}" for label, value in labels.items())
            found[f"{name}{{{told}}}" if told else name] = value
    return found


async def until(gateway: Gateway, name: str, value: float) -> None:
    async with asyncio.timeout(10):
        while (await figures(gateway)).get(name) != value:
            await asyncio.sleep(0.05)


async def test_names_types_and_labels_are_as_documented(gateway: Gateway) -> None:
    client = await gateway.connect("42")
    await client.leave()
    await until(gateway, "fairlead_connections", 0.0)
    text = (await scraped(gateway)).text

    found = {
        family.name: (family.type, tuple(dict.fromkeys(label for sample in family.samples for label in sample.labels)))
        for family in text_string_to_metric_families(text)
        if family.name.startswith("fairlead_")
    }
    assert found == DOCUMENTED
    assert all(family.documentation for family in text_string_to_metric_families(text))


async def test_the_process_is_told_of_under_the_names_that_everybody_uses(gateway: Gateway) -> None:
    found = {family.name for family in text_string_to_metric_families((await scraped(gateway)).text)}

    assert set(PROCESS) == {name for name in found if name.startswith("process_")}


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0", "*/*", "a/b; version=;;x", ""])
async def test_whoever_asks_for_openmetrics_gets_it_and_everybody_else_text(gateway: Gateway, accept: str) -> None:
    answer = await scraped(gateway, accept)

    assert answer.status_code == 200
    if "openmetrics" in accept:
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n") and list(openmetrics_families(answer.text))
    else:
        assert answer.headers["content-type"].startswith("text/plain")


async def test_what_happens_is_what_is_told(gateway: Gateway) -> None:
    before = await figures(gateway)
    client = await gateway.connect("ann")
    other = await gateway.connect("bob")
    await client.ask("message", to="user:bob", content="hello")
    await other.hear("new_message")
    await client.ask("no_such_action")
    await gateway.refusal(bearer="not-a-token")
    during = await figures(gateway)
    await other.leave()
    await until(gateway, "fairlead_connections", 1.0)
    after = await figures(gateway)

    def gained(name: str, found: dict[str, float] = during) -> float:
        return found[name] - before.get(name, 0.0)

    assert during["fairlead_connections"] == 2.0
    assert during["fairlead_channels{kind=user}"] == 2.0
    assert gained("fairlead_connections_opened_total") == 2.0
    assert gained("fairlead_messages_received_total") == 2.0
    assert gained("fairlead_messages_sent_total") >= 1.0
    assert gained("fairlead_errors_total{code=unknown_action}") == 1.0
    assert gained("fairlead_connections_refused_total{word=forbidden}") == 1.0
    assert gained("fairlead_action_duration_seconds_count") == 2.0
    assert gained("fairlead_connections_closed_total{code=1000,word=normal}", after) == 1.0
    assert during["fairlead_redis_link_up"] == during["fairlead_lease_held"] == 1.0


async def test_labels_are_bounded_whatever_clients_and_applications_call_things(gateway: Gateway) -> None:
    lines = len((await scraped(gateway)).text.splitlines())
    for number in range(5):
        client = await gateway.connect(f"someone-{number}", f"/ws/chat/session/room-{number}")
        await client.ask(f"unheard-of-{number}")
        await client.socket.close(4500 + number)
    await until(gateway, "fairlead_connections", 0.0)

    text = (await scraped(gateway)).text

    assert "someone-" not in text and "room-" not in text and "unheard-of-" not in text
    assert 'code="0",word="other"' in text
    assert len(text.splitlines()) <= lines + 1 <= LINES


def test_every_code_that_there_is_has_a_place_from_the_beginning() -> None:
    tallies = Tallies()
    tallies.error("of-an-application")
    tallies.refused("of-nobody")
    tallies.happened("question_answered", {"seconds": 2.0})
    tallies.happened("task_stalled", {})

    assert tallies.errors == {**dict.fromkeys(ERRORS, 0), OTHER: 1}
    assert tallies.refusals == {close.word: 0 for close in CLOSES}
    assert tallies.questions == {"answered": 1, "timed_out": 0, "cancelled": 0}
    assert sum(tallies.question_seconds.counts) == 1


async def test_replicas_of_one_process_have_figures_of_their_own(gateway: Gateway, redis_url: str) -> None:
    async with serving(settings_for(redis_url)) as other:
        await gateway.connect("42")

        assert (await figures(gateway))["fairlead_connections"] == 1.0
        assert (await figures(other))["fairlead_connections"] == 0.0
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("fairlead")]


async def test_a_scrape_costs_little_with_thousands_of_channels(gateway: Gateway) -> None:
    client = await gateway.connect("42")
    pool = gateway.manager.pool
    connection = pool.get(client.id)
    assert connection is not None
    for number in range(5000):
        pool.join(connection, f"topic:t{number}")
    await scraped(gateway)

    began = time.process_time()
    found = await figures(gateway)
    seconds = time.process_time() - began

    assert found["fairlead_channels{kind=topic}"] == 5000.0
    assert seconds < 0.5
    for number in range(5000):
        pool.leave(connection, f"topic:t{number}")
