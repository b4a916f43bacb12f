"""All that may happen to a `World`, in any order that Hypothesis can think of."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.faults.world import DEVICES, REPLICAS, World

replicas = st.integers(0, REPLICAS - 1)
devices = st.integers(0, DEVICES - 1)


class Machine(RuleBasedStateMachine):
    """Publish, miss, say again, lose subscriptions, fail over, trim, expire, leave and come back."""

    url: ClassVar[str]
    """Of a real server; set by a subclass."""

    checks: ClassVar[bool] = True
    """See `World`."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._said = 0

    @initialize()
    def begin(self) -> None:
        async def made() -> World:
            world = World(self.url, checks=self.checks)
            await world.begin()
            for number, phone in enumerate(world.phones):
                await world.connect(phone, world.sides[number % REPLICAS])
            return world

        self.world = self._run(made())

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                found = self._run(self.world.violations())
                self._run(self.world.end())
                assert found == [], "\n".join(found)
        finally:
            self._loop.close()

    def _run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(doing)

    # -- backends ------------------------------------------------------------------------------------

    @rule()
    def publish(self) -> None:
        self._said += 1
        self._run(self.world.publish(f"m{self._said}"))

    @rule(replica=replicas)
    def publish_and_be_missed(self, replica: int) -> None:
        self._said += 1
        self._run(self.world.publish(f"m{self._said}", {replica}))

    @precondition(lambda self: self._said)
    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(max(1, self._said - 3), self._said))
        self._run(self.world.publish(f"m{number}"))

    # -- replicas ------------------------------------------------------------------------------------

    @rule(replica=replicas, count=st.integers(1, 4))
    def read(self, replica: int, count: int) -> None:
        self.world.sides[replica].read(count)

    @rule()
    def settle(self) -> None:
        self._run(self.world.settle())

    @rule(replica=replicas)
    def lose_subscription(self, replica: int) -> None:
        self.world.sides[replica].lose_subscription()

    @rule(replica=replicas)
    def subscribe_again(self, replica: int) -> None:
        side = self.world.sides[replica]
        if side.members:
            self._run(_soon(side.subscribe))

    @rule(replica=replicas)
    def give_up(self, replica: int) -> None:
        side = self.world.sides[replica]
        if not side.members:
            side.give_up()

    # -- devices -------------------------------------------------------------------------------------

    @rule(device=devices)
    def disconnect(self, device: int) -> None:
        self.world.disconnect(self.world.phones[device])

    @rule(device=devices, replica=replicas)
    def connect(self, device: int, replica: int) -> None:
        self._run(self.world.connect(self.world.phones[device], self.world.sides[replica]))

    # -- Redis ---------------------------------------------------------------------------------------

    @rule()
    def copy(self) -> None:
        self._run(self.world.copy())

    @rule()
    def fail_over(self) -> None:
        self._run(self.world.fail_over())

    @rule()
    def restart_empty(self) -> None:
        self._run(self.world.restart_empty())

    @rule(kept=st.integers(0, 4))
    def trim(self, kept: int) -> None:
        self._run(self.world.trim(kept))

    @rule()
    def forget_meta(self) -> None:
        self._run(self.world.forget_meta())

    @rule()
    def forget_log(self) -> None:
        self._run(self.world.forget_log())


def work(url: str, examples: int) -> None:
    """
    Try *examples* worlds.

    :raises AssertionError: what went wrong in the smallest of those that went wrong.
    """

    class Here(Machine):
        pass

    Here.url = url
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


async def _soon(do: Any) -> None:
    """Within the loop, since the log is asked at once."""
    do()
