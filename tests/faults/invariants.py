"""The invariants, as pure functions of a record: each gives its violations in words, none when all is well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

from tests.faults.recorder import Delivered, Diary, Dropped, Published, Recorder, Skipped, Stood

Survivors = Mapping[str, Collection[str]]
"""Message ids that the log of each channel holds in the end."""


def violations(record: Recorder, survivors: Survivors | None = None) -> list[str]:
    """All of I1, I2 and I3."""
    return [
        *lost(record, survivors),
        *duplicated(record),
        *mistaken(record),
        *reused(record),
        *holed(record),
        *reordered(record),
    ]


# -- I1: each acknowledged message arrives, or its absence is told ------------------------------------


def lost(record: Recorder, survivors: Survivors | None = None) -> list[str]:
    """
    Messages that a device neither got nor was told about.

    :param survivors: where a master may take acknowledged messages with it, what the log has kept; others do not count.
    """
    found: list[str] = []
    by_channel = _by_channel(record)
    for diary in record.diaries:
        for channel in diary.channels():
            kept = None if survivors is None else survivors.get(channel, ())
            found.extend(
                f"I1 {diary.device} never got {_words(message)}, and was not told"
                for message in _missing(diary, channel, by_channel[channel])
                if kept is None or message.id in kept
            )
    return found


def gone_with_the_master(record: Recorder, survivors: Survivors) -> list[str]:
    """Acknowledged messages that no log holds in the end."""
    return [
        f"I1 no log holds {_words(message)}"
        for message in record.published
        if message.id not in survivors.get(message.channel, ())
    ]


def _missing(diary: Diary, channel: str, published: list[Published]) -> Iterator[Published]:
    """What *diary* should hold, and does neither hold nor excuse."""
    events = diary.of(channel)
    start = next(event for event in events if isinstance(event, Stood))
    got = {event.id for event in events if isinstance(event, Delivered)}
    told = list(_breaks(diary, channel))
    excused = {
        message.id
        for message in published
        if not _is_behind(message, start) or any(_excuses(stood, before, message) for stood, before in told)
    }
    # The same id is the same message, however often it had to be said.
    due = {message.id: message for message in published if message.id not in excused and message.id not in got}
    yield from due.values()


def _is_behind(message: Published, start: Stood) -> bool:
    """Whether *message* came after a device that began at *start*."""
    if _is_of(message, start.epoch):
        return message.offset > start.offset
    return message.began > start.when


def _breaks(diary: Diary, channel: str) -> Iterator[tuple[Stood, str]]:
    """Each time that the device was told of a loss, with the epoch it knew before."""
    epoch = ""
    for event in diary.of(channel):
        if isinstance(event, Stood):
            if event.recovered is False:
                yield event, epoch
            epoch = event.epoch


def _excuses(stood: Stood, before: str, message: Published) -> bool:
    """Whether being told to reload at *stood* covers *message*."""
    if _is_of(message, stood.epoch):
        return message.offset <= stood.offset
    return _is_of(message, before) or message.ended <= stood.when


def _is_of(message: Published, epoch: str) -> bool:
    """Whether its offset belongs to *epoch*; a duplicate is answered with the term of now, not of the first time."""
    return message.epoch == epoch or (message.is_duplicate and run_of(message.epoch) == run_of(epoch))


# -- I2: nothing twice ---------------------------------------------------------------------------------


def duplicated(record: Recorder) -> list[str]:
    """Positions, and ids between two reloads, that passed a device's check twice."""
    found: list[str] = []
    for diary in record.diaries:
        for channel in diary.channels():
            pairs: set[tuple[str, int]] = set()
            ids: set[str] = set()
            for event in diary.of(channel):
                if isinstance(event, Stood) and event.recovered is False:
                    ids.clear()
                if not isinstance(event, Delivered):
                    continue
                pair = (event.epoch, event.offset)
                if event.id in ids or pair in pairs:
                    found.append(f"I2 {diary.device} got {_words(event)} twice")
                pairs.add(pair)
                ids.add(event.id)
    return found


def mistaken(record: Recorder) -> list[str]:
    """Messages that a device dropped as old ones, though it had never seen them nor been told to reload there."""
    found: list[str] = []
    for diary in record.diaries:
        for channel in diary.channels():
            seen: set[str] = set()
            start = ("", 0)
            for event in diary.of(channel):
                if isinstance(event, Delivered):
                    seen.add(event.id)
                elif isinstance(event, Stood) and event.recovered is not True:
                    start = (event.epoch, event.offset)
                elif isinstance(event, Dropped) and event.id not in seen and not _is_covered(event, *start):
                    found.append(f"I2 {diary.device} took {_words(event)} for an old one")
    return found


def _is_covered(dropped: Dropped, epoch: str, offset: int) -> bool:
    """Whether the device began, or was told to reload, behind it."""
    return dropped.epoch == epoch and dropped.offset <= offset


def reused(record: Recorder) -> list[str]:
    """Pairs of epoch and offset that stand for two messages, by what publishers or devices were told."""
    ids: dict[tuple[str, str, int], str] = {}
    found: list[str] = []
    given: list[Published | Delivered] = [*record.published]
    given += [event for diary in record.diaries for event in diary.events if isinstance(event, Delivered)]
    for one in given:
        first = ids.setdefault((one.channel, one.epoch, one.offset), one.id)
        if first != one.id:
            found.append(f"I2 {one.channel} {one.epoch}/{one.offset} is {first} and also {one.id}")
    return list(dict.fromkeys(found))


# -- I3: one after the other -----------------------------------------------------------------------------


def holed(record: Recorder) -> list[str]:
    """Offsets that do not grow by one: for a device, and over all that was acknowledged."""
    return [*_holed_deliveries(record), *_holed_results(record)]


def _holed_deliveries(record: Recorder) -> Iterator[str]:
    for diary in record.diaries:
        for channel in diary.channels():
            last = 0
            for event in diary.of(channel):
                if isinstance(event, Stood) and event.recovered is not True:
                    last = event.offset
                elif isinstance(event, Delivered | Skipped):
                    if event.offset != last + 1:
                        yield f"I3 {diary.device} got {channel} {event.epoch}/{event.offset} right after {last}"
                    last = event.offset


def _holed_results(record: Recorder) -> Iterator[str]:
    unknown: dict[str, int] = defaultdict(int)
    for refused in record.refused:
        unknown[refused.channel] += refused.is_unknown
    offsets: dict[tuple[str, str], set[int]] = defaultdict(set)
    for message in record.published:
        offsets[message.channel, run_of(message.epoch)].add(message.offset)
    for (channel, run), given in offsets.items():
        missing = max(given) - min(given) + 1 - len(given)
        if missing > unknown[channel]:
            yield f"I3 {channel} {run}: {missing} offsets that no publisher knows, {unknown[channel]} fates unknown"


def reordered(record: Recorder) -> list[str]:
    """Messages that came to stand before one that was said earlier."""
    found: list[str] = []
    for channel, published in _by_channel(record).items():
        prompt = sorted((one for one in published if one.tries == 1), key=lambda one: one.number)
        for earlier, later in pairwise(prompt):
            if earlier.epoch == later.epoch and earlier.offset > later.offset:
                found.append(f"I3 {channel}: {later.id} overtook {earlier.id}")
    return found


# -- how long it took ------------------------------------------------------------------------------------


def seconds_until_whole(record: Recorder, healed: float) -> float:
    """The longest that a message, or the news that it is lost, was overdue once the fault was over at *healed*."""
    acknowledged = {(one.channel, one.id): one.ended for one in record.published}
    worst = 0.0
    for diary in record.diaries:
        for event in diary.events:
            if isinstance(event, Delivered):
                due = acknowledged.get((event.channel, event.id), event.when)
            elif isinstance(event, Stood) and event.recovered is False:
                due = healed
            else:
                continue
            worst = max(worst, event.when - max(due, healed))
    return worst


def run_of(epoch: str) -> str:
    """The epoch without its term: one run of offsets, whichever masters gave them."""
    return epoch.rpartition(".")[0]


def _by_channel(record: Recorder) -> dict[str, list[Published]]:
    found: dict[str, list[Published]] = defaultdict(list)
    for message in record.published:
        found[message.channel].append(message)
    return found


def _words(one: Published | Delivered | Dropped) -> str:
    return f"{one.id} ({one.channel} {one.epoch}/{one.offset})"
