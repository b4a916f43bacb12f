"""A mirror that is opened and closed, at the wrong moment as well; what it shows is the suite's business."""

from __future__ import annotations

import asyncio

import pytest

from fairlead import Client, ClientError, Forbidden
from tests.clients.scripted import Line, Scripted, at

pytestmark = pytest.mark.usefixtures("nothing_left")

NAME = "instance:counter"
SNAPSHOT = {"type": "snapshot", "instance": "counter", "channel": NAME, "document": {"n": 1}, "version": 1}


async def opened(gateway: Scripted) -> tuple[Client, Line]:
    one = Client(gateway.url, token="t", backoff_min=0.02, backoff_max=0.2)
    connecting = asyncio.create_task(one.connect())
    line = await gateway.greeted()
    await connecting
    return one, line


async def test_who_waits_for_a_document_that_is_closed_is_told(gateway: Scripted) -> None:
    gateway.manners |= {"subscribe": lambda said: {"channels": {NAME: at(3)}}, "unsubscribe": lambda said: {}}
    one, _ = await opened(gateway)
    counter = one.instance("counter")
    waiting = [asyncio.create_task(counter.open()) for _ in range(2)]
    await asyncio.sleep(0.05)
    await counter.close()

    for task in waiting:
        with pytest.raises(ClientError) as caught:
            await task
        assert caught.value.code == "closed"
    await one.close()


async def test_what_one_may_not_hear_can_be_asked_for_again(gateway: Scripted) -> None:
    one, line = await opened(gateway)
    counter = one.instance("counter")
    opening = asyncio.create_task(counter.open())
    await line.fail(await line.hears("subscribe"), "forbidden", channels=[NAME])
    with pytest.raises(Forbidden):
        await opening
    again = asyncio.create_task(counter.open())
    await line.reply(await line.hears("subscribe"), channels={NAME: at(3)})
    await line.say(SNAPSHOT)
    await again

    assert (counter.document, counter.version) == ({"n": 1}, 1)
    assert one.instance("counter") is counter
    await one.close()


async def test_a_document_that_does_not_come_by_itself_is_asked_for(gateway: Scripted) -> None:
    state = {name: value for name, value in SNAPSHOT.items() if name != "type"}
    gateway.manners |= {"subscribe": lambda said: {"channels": {NAME: at(3)}}, "get_state": lambda said: state}
    one, line = await opened(gateway)
    await one.instance("counter").open()

    assert [frame["channel"] for frame in line.actions("get_state")] == [NAME]
    await one.close()


async def test_opening_that_is_given_up_leaves_nothing(gateway: Scripted) -> None:
    one, line = await opened(gateway)
    opening = asyncio.create_task(one.instance("counter").open())
    await line.hears("subscribe")
    opening.cancel()
    await asyncio.wait([opening])

    assert opening.cancelled()
    assert one._talk.mirrors.keys() == {"task_step_result", "confirm_closed"}
    await one.close()


async def test_leaving_needs_no_connection(gateway: Scripted) -> None:
    gateway.manners |= {"subscribe": lambda said: {"channels": {NAME: at(3)}}, "join_session": lambda said: {}}
    one, line = await opened(gateway)
    await one.subscribe(NAME)
    gateway.is_shut = True
    line.reset()
    async with asyncio.timeout(5):
        while one.state != "waiting":
            await asyncio.sleep(0.005)
        await one.unsubscribe(NAME)
        gateway.is_shut = False
        back = await gateway.greeted()
        await one.request("ping")
    await one.close()
    await one.session("s1").leave()

    assert NAME not in back.actions("connect")[0]["recover"]
