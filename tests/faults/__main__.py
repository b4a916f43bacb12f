"""``python -m tests.faults``: every fault with several seeds, a line for each run, and what was wrong."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from tests.faults.ground import Ground
from tests.faults.machine import work
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import HEADINGS, Outcome, Scenario, Stage
from tests.support.namespace import is_possible
from tests.support.redis import Server


def main() -> int:
    """Run what is asked for; 1 if anything was wrong."""
    options = _options()
    wanted = [one for one in SCENARIOS if all(word in one.name for word in options.only)]
    print(HEADINGS, flush=True)
    if left_out := [one.name for one in wanted if one.is_apart and not is_possible()]:
        print(f"left out, since network namespaces need root, ip and nft: {', '.join(left_out)}", flush=True)
        wanted = [one for one in wanted if one.name not in left_out]
    outcomes = [play(one, options.first_seed + number) for one in wanted for number in range(options.seeds)]
    is_well = not any(outcome.complaints for outcome in outcomes)
    if not options.only:
        is_well &= imagine(options.worlds)
    return int(not is_well)


def imagine(worlds: int) -> bool:
    """Let Hypothesis try that many; whether all was well."""
    began = time.monotonic()
    with Server() as server:
        try:
            work(server.url, worlds)
        except AssertionError as error:
            print(error, flush=True)
            return False
    print(f"{worlds} worlds of the state machine in {time.monotonic() - began:.0f} s: nothing found", flush=True)
    return True


def play(scenario: Scenario, seed: int) -> Outcome:
    """One run on ground of its own."""
    outcome = asyncio.run(played(scenario, seed))
    print(outcome.line(), flush=True)
    for complaint in outcome.complaints[:10]:
        print(f"    {complaint}", flush=True)
    if more := outcome.complaints[10:]:
        print(f"    and {len(more)} more", flush=True)
    return outcome


async def played(scenario: Scenario, seed: int) -> Outcome:
    async with ground_of(scenario) as ground:
        return await Stage(scenario, seed, ground).run()


def ground_of(scenario: Scenario) -> Ground:
    """What the scenario needs."""
    return Ground(
        scenario.replicas,
        shape=scenario.shape,
        redis_options=scenario.redis_options,
        is_cabled=scenario.is_cabled,
        is_apart=scenario.is_apart,
        is_proxied=scenario.is_proxied,
        files=scenario.files,
        durable_replicas=scenario.durable_replicas,
        **scenario.settings,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each fault")
    parser.add_argument("--first-seed", type=int, default=int(time.time()) % 100_000, help="to repeat a run")
    parser.add_argument("--worlds", type=int, default=2000, help="runs of the state machine, when all faults are run")
    parser.add_argument("--only", nargs="*", default=[], help="words of the names of faults")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
