"""Long work gives way to everybody else, however much of it there is."""

from __future__ import annotations

import asyncio

from fairlead_gateway.sessions.turns import Turns


async def _turns_of_the_loop(done: list[str]) -> None:
    while True:
        done.append("|")
        await asyncio.sleep(0)


async def test_however_many_works_there_are_one_piece_is_done_in_a_turn_of_the_loop() -> None:
    turns, done = Turns(), list[str]()

    async def work(name: str) -> None:
        for _ in range(3):
            done.append(name)
            await turns.next()

    loop = asyncio.create_task(_turns_of_the_loop(done))
    await asyncio.sleep(0)
    await asyncio.gather(*(work(name) for name in "abcd"))
    loop.cancel()

    pieces = "".join(done).split("|")
    assert sorted("".join(pieces)) == sorted("abcd" * 3)
    # All begin at once; from then on they stand in a row.
    assert "abcd" in pieces and all(len(piece) <= 1 for piece in pieces if piece != "abcd")


async def test_who_gives_up_in_the_row_holds_up_nobody_behind() -> None:
    turns, done = Turns(), list[str]()

    async def work(name: str) -> None:
        await turns.next()
        done.append(name)

    first, given_up, last = (asyncio.create_task(work(name)) for name in "abc")
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([first, given_up, last], timeout=5)

    assert given_up.cancelled()
    assert done == ["a", "c"]


def test_a_row_of_a_loop_that_is_gone_holds_up_nobody_of_the_next() -> None:
    turns = Turns()

    async def work() -> None:
        await asyncio.wait_for(asyncio.gather(turns.next(), turns.next()), 5)

    async def break_off() -> None:
        tasks = [asyncio.create_task(turns.next()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()

    asyncio.run(work())
    asyncio.run(break_off())
    asyncio.run(work())
