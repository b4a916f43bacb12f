"""Would these tests notice? Each rule of the design is taken out in turn, and the machine must find what breaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from fairlead.publishing import forms
from fairlead.redis.scripts import Script, Text
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.track import Track, Verdict
from fairlead_gateway.facts import history
from tests.faults.machine import Machine

Mutant = Callable[[pytest.MonkeyPatch], None]

EXAMPLES = 400
"""At most; most mutants are found within a few."""


def without(script: Script, rule: str, instead: str) -> Script:
    """*script* with another text where *rule* stood."""
    source = script.modern.source
    assert source.count(rule) == 1, f"{script.name}.lua has changed; mutate it in another place"
    source = source.replace(rule, instead)
    text = Text(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
    return script._replace(modern=text, old=text)


def no_term(patch: pytest.MonkeyPatch) -> None:
    """Offsets of two masters look alike, as in the algorithm that others publish."""
    said = "position = epoch .. '.' .. (redis.call('GET', term) or '0')"
    patch.setattr(forms.PUBLISH, "script", without(forms.PUBLISH.script, said, "position = epoch .. '.0'"))
    patch.setattr(history, "_READ", without(history._READ, "redis.call('GET', KEYS[4]) or '0'", "'0'"))


def no_log_matching(patch: pytest.MonkeyPatch) -> None:
    """A position of another master is believed without the message that proves it."""
    rule = "#at > 0 and at[1][2][2] ~= ARGV[5] or #at == 0 and ARGV[3] ~= position"
    patch.setattr(history, "_READ", without(history._READ, rule, "false"))


def no_contiguity(patch: pytest.MonkeyPatch) -> None:
    """What the log has kept is taken for all that was said."""
    rule = "#entries < count or tonumber(string.match(entries[count][1], '^%d+')) ~= since + count"
    patch.setattr(history, "_READ", without(history._READ, rule, "false"))


def no_duplicate_window(patch: pytest.MonkeyPatch) -> None:
    """A message that is said again is published again."""
    rule = "redis.call('ZSCORE', seen, id)"
    patch.setattr(forms.PUBLISH, "script", without(forms.PUBLISH.script, rule, "false"))


def no_gap_rule(patch: pytest.MonkeyPatch) -> None:
    """Replicas pass on whatever comes, and devices take it."""

    def take(track: Track, message: Outgoing) -> Verdict:
        track.epoch, track.offset, track.last_id = message.epoch, message.offset, message.id
        return Verdict.NEXT

    patch.setattr(Track, "take", take)
    patch.setattr(Machine, "checks", False)


MUTANTS: tuple[Mutant, ...] = (no_term, no_log_matching, no_contiguity, no_duplicate_window, no_gap_rule)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_it_is_noticed_when_a_rule_is_missing(mutant: Mutant, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Here(Machine):
        url = redis_url

    mutant(monkeypatch)

    with pytest.raises(AssertionError, match=r"I[123] "):
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
