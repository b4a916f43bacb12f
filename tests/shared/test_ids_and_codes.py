from __future__ import annotations

import time
from uuid import UUID

import pytest

from fairlead.codes import CLOSES, Close
from fairlead.ids import uuid7


def test_ids_are_uuids_of_version_seven_that_sort_by_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(1000)]
    after = time.time_ns() // 1_000_000

    assert len(set(ids)) == 1000
    for id_ in ids:
        assert (UUID(id_).version, UUID(id_).variant) == (7, UUID(int=0x8 << 60).variant)
        assert before <= UUID(id_).int >> 80 <= after
    assert [id_[:13] for id_ in ids] == sorted(id_[:13] for id_ in ids)


def test_no_two_closes_share_a_code_or_a_word() -> None:
    assert len({close.code for close in CLOSES}) == len(CLOSES)
    assert len({close.word for close in CLOSES}) == len(CLOSES)


@pytest.mark.parametrize("close", CLOSES, ids=lambda close: close.word)
def test_a_reason_fits_into_a_close_frame(close: Close) -> None:
    reason = close.reason("é" * 200)

    assert len(reason.encode()) <= 123
    assert reason.startswith(f"{close.word}: é")
    assert close.reason() == close.word
