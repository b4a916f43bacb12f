"""Others are told when somebody begins, goes on and stops, and no more often than they need."""

from __future__ import annotations

from fairlead_gateway.pool.typists import RENEW_SECONDS, SILENT_SECONDS, Typists


def test_beginning_and_stopping_are_news_once() -> None:
    typists: Typists[str] = Typists()

    said = [typists.note("ann", "session:s", is_typing, 0) for is_typing in (False, True, True, False, False, True)]

    assert said == ["", "changed", "", "changed", "", "changed"]


def test_who_goes_on_is_told_again_now_and_then() -> None:
    typists: Typists[str] = Typists()

    said = [typists.note("ann", "session:s", True, at / 2) for at in range(30)]

    assert said[0] == "changed"
    assert [at / 2 for at, news in enumerate(said) if news == "renewed"] == [RENEW_SECONDS * n for n in range(1, 5)]


def test_who_falls_silent_has_stopped_and_who_goes_on_has_not() -> None:
    typists: Typists[str] = Typists()
    for member in ("ann", "ben"):
        typists.note(member, "session:s", True, 0.5)
    typists.note("ben", "session:s", True, 4)

    silent = {second: typists.turn(second) for second in range(SILENT_SECONDS + 8)}

    assert {second: gone for second, gone in silent.items() if gone} == {
        SILENT_SECONDS + 1: [("ann", "session:s")],
        SILENT_SECONDS + 4: [("ben", "session:s")],
    }
    assert typists.note("ann", "session:s", True, 20) == "changed"


def test_who_leaves_stops_there_or_everywhere() -> None:
    typists: Typists[str] = Typists()
    for session in ("session:a", "session:b", "session:c"):
        typists.note("ann", session, True, 0)

    assert typists.stop("ann", ["session:a", "session:x"]) == ["session:a"]
    assert typists.stop("ann", []) == []
    assert sorted(typists.stop("ann")) == ["session:b", "session:c"]
    assert typists.stop("ann") == []
    assert typists.turn(100) == []
