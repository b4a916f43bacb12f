"""A check that finds nothing proves nothing: here each is given a record with just what it must find."""

from __future__ import annotations

import pytest

from tests.faults import invariants
from tests.faults.recorder import Delivered, Diary, Dropped, Event, Published, Recorder, Refused, Skipped, Stood

CHANNEL = "session:s"
FIRST, SECOND, OTHER = "aa.1", "aa.2", "bb.2"
"""Epochs: at the start, the same run under another master, another run."""


def published(offset: int, epoch: str = FIRST, *, id: str = "", at: float = 0.0, number: int = 0) -> Published:
    return Published(CHANNEL, id or f"m{offset}", offset, epoch, at or offset, at or offset, number or offset, 1)


def stood(offset: int, epoch: str = FIRST, recovered: bool | None = None, at: float = 0.0) -> Stood:
    return Stood(at, CHANNEL, offset, epoch, recovered)


def got(offset: int, epoch: str = FIRST, *, id: str = "", at: float = 0.0) -> Delivered:
    return Delivered(at or offset, CHANNEL, id or f"m{offset}", offset, epoch)


def dropped(offset: int, epoch: str = FIRST, *, id: str = "") -> Dropped:
    return Dropped(offset, CHANNEL, id or f"m{offset}", offset, epoch)


def record(sent: list[Published], *diaries: list[Event]) -> Recorder:
    recorder = Recorder()
    recorder.published = sent
    recorder.diaries = [Diary(f"d{number}", events) for number, events in enumerate(diaries, 1)]
    return recorder


SENT = [published(offset) for offset in (1, 2, 3, 4)]


def test_a_clean_record_has_no_violation() -> None:
    events: list[Event] = [stood(0), got(1), got(2), dropped(2), stood(2, recovered=True), got(3), got(4)]

    assert invariants.violations(record(SENT, events)) == []


# -- I1 ------------------------------------------------------------------------------------------------


def test_a_message_that_never_came_is_lost() -> None:
    found = invariants.lost(record(SENT, [stood(0), got(1), got(2), got(4)]))

    assert found == ["I1 d1 never got m3 (session:s aa.1/3), and was not told"]


def test_what_was_said_before_a_device_came_is_not_lost() -> None:
    assert invariants.lost(record(SENT, [stood(2), got(3), got(4)])) == []


def test_every_device_counts() -> None:
    good: list[Event] = [stood(0), *map(got, (1, 2, 3, 4))]

    assert len(invariants.lost(record(SENT, good, good[:-1], good[:-2]))) == 3


def test_what_was_told_is_not_lost() -> None:
    told = [stood(0), got(1), stood(3, recovered=False, at=3.5), got(4)]

    assert invariants.lost(record(SENT, told)) == []


def test_being_told_does_not_excuse_what_came_later() -> None:
    told: list[Event] = [stood(0), got(1), stood(2, recovered=False, at=2.5), got(4)]

    assert invariants.lost(record(SENT, told)) == ["I1 d1 never got m3 (session:s aa.1/3), and was not told"]


def test_a_new_run_of_offsets_excuses_what_the_old_one_held_and_no_more() -> None:
    sent = [published(1), published(2), published(1, OTHER, id="n1", at=5), published(2, OTHER, id="n2", at=6)]
    told: list[Event] = [stood(0), got(1), stood(1, OTHER, recovered=False, at=5.5)]

    assert invariants.lost(record(sent, told)) == ["I1 d1 never got n2 (session:s bb.2/2), and was not told"]


def test_a_new_master_that_went_on_excuses_nothing() -> None:
    events: list[Event] = [stood(0), got(1), got(2), stood(2, SECOND, recovered=True), got(4, SECOND)]

    assert len(invariants.lost(record(SENT, events))) == 1


def test_what_a_master_took_along_is_counted_apart() -> None:
    events: list[Event] = [stood(0), got(1), got(2)]
    log = {CHANNEL: {"m1", "m2", "m3"}}

    assert invariants.lost(record(SENT, events), log) == ["I1 d1 never got m3 (session:s aa.1/3), and was not told"]
    assert invariants.gone_with_the_master(record(SENT, events), log) == ["I1 no log holds m4 (session:s aa.1/4)"]


# -- I2 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [got(2), got(3, id="m2"), got(2, id="other")])
def test_a_position_or_an_id_twice_is_a_duplicate(again: Delivered) -> None:
    assert len(invariants.duplicated(record(SENT, [stood(0), got(1), got(2), again]))) == 1


def test_an_id_may_come_again_after_a_reload() -> None:
    again = [stood(0), got(1), stood(0, OTHER, recovered=False), got(1, OTHER)]

    assert invariants.duplicated(record(SENT, again)) == []


def test_a_new_message_taken_for_an_old_one_is_found() -> None:
    events: list[Event] = [stood(0), got(1), got(2), dropped(2, id="another")]

    found = invariants.mistaken(record(SENT, events))

    assert found == ["I2 d1 took another (session:s aa.1/2) for an old one"]


def test_an_old_message_taken_for_an_old_one_is_well() -> None:
    assert invariants.mistaken(record(SENT, [stood(2), dropped(1), got(3), dropped(3)])) == []


def test_a_pair_for_two_messages_is_found_wherever_it_shows() -> None:
    by_publishers = record([published(1), published(1, id="other")])
    by_devices = record([published(1)], [stood(0), got(1, id="other")])

    assert invariants.reused(by_publishers) == ["I2 session:s aa.1/1 is m1 and also other"]
    assert invariants.reused(by_devices) == invariants.reused(by_publishers)
    assert invariants.reused(record([published(1), published(1, SECOND, id="other")])) == []


# -- I3 ------------------------------------------------------------------------------------------------


def test_a_hole_in_what_a_device_got_is_found() -> None:
    found = invariants.holed(record([], [stood(0), got(1), got(3)]))

    assert found == ["I3 d1 got session:s aa.1/3 right after 1"]


def test_a_stand_in_fills_a_hole_and_a_reload_begins_anew() -> None:
    events: list[Event] = [stood(0), got(1), Skipped(2, CHANNEL, 2, FIRST), got(3), stood(9, recovered=False), got(10)]

    assert invariants.holed(record([], events)) == []


def test_a_hole_that_recovery_left_is_found() -> None:
    events: list[Event] = [stood(0), got(1), stood(3, recovered=True), got(4)]

    assert len(invariants.holed(record([], events))) == 1


def test_an_offset_that_nobody_was_given_is_found_unless_a_fate_is_unknown() -> None:
    broken = record([published(1), published(3)])
    found = invariants.holed(broken)
    broken.refused.append(Refused(CHANNEL, "m2", is_unknown=True, why="", ended=2))

    assert found == ["I3 session:s aa: 1 offsets that no publisher knows, 0 fates unknown"]
    assert invariants.holed(broken) == []


def test_a_message_that_overtook_another_is_found() -> None:
    found = invariants.reordered(record([published(2, number=1), published(1, number=2)]))

    assert found == ["I3 session:s: m1 overtook m2"]


# -- how long ------------------------------------------------------------------------------------------


def test_time_counts_from_the_end_of_the_fault_or_from_the_publish() -> None:
    events: list[Event] = [stood(0), got(1, at=1.5), got(2, at=12), got(3, at=12.5), got(4, at=20.25)]
    sent = [published(1, at=1), published(2, at=2), published(3, at=3), published(4, at=20)]

    assert invariants.seconds_until_whole(record(sent, events), healed=10) == 2.5


def test_time_counts_until_a_device_was_told() -> None:
    assert invariants.seconds_until_whole(record([], [stood(0), stood(5, recovered=False, at=13)]), healed=10) == 3
