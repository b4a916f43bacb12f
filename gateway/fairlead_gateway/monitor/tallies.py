"""What a replica counts by kind, for whoever scrapes it: plain integers that only grow, none of them on a hot path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fairlead.codes import CLOSES, ERRORS
from fairlead_gateway.monitor.histograms import Histogram

OTHER: Final = "other"
"""What applications named themselves, so that they cannot make more kinds than we know."""

OUTCOMES: Final = ("answered", "timed_out", "cancelled")
"""How a question ends; one that could be shown to nobody is cancelled."""

_QUESTION: Final = "question_"


def _zeros(*kinds: str) -> dict[str, int]:
    return dict.fromkeys(kinds, 0)


@dataclass(slots=True)
class Tallies:
    """Since the start of this replica; every kind is there from the beginning, so that a first one is a change."""

    errors: dict[str, int] = field(default_factory=lambda: _zeros(*ERRORS, OTHER))
    """Error frames, by code."""
    refusals: dict[str, int] = field(default_factory=lambda: _zeros(*(close.word for close in CLOSES)))
    """Clients that were closed before they were greeted, by word of the close code."""
    recoveries: dict[str, int] = field(default_factory=lambda: _zeros("true", "false"))
    """Channels in which a client came back with a position, by whether nothing was lost."""
    questions: dict[str, int] = field(default_factory=lambda: _zeros(*OUTCOMES))
    """Questions whose end this replica told, by how they ended."""
    question_seconds: Histogram = field(default_factory=Histogram)
    """How long those had been open, in seconds where others have milliseconds: people take their time."""
    loop_lag_ms: Histogram = field(default_factory=Histogram)
    """How late the event loop came to what was due, looked at once a second."""

    def error(self, code: str) -> None:
        self.errors[code if code in self.errors else OTHER] += 1

    def refused(self, word: str) -> None:
        if word in self.refusals:
            self.refusals[word] += 1

    def recovered(self, outcome: bool | None) -> None:
        """A client came to a channel; None if it asked for nothing."""
        if outcome is not None:
            self.recoveries["true" if outcome else "false"] += 1

    def happened(self, event: str, facts: Mapping[str, Any]) -> None:
        """An event of a question."""
        outcome = event.removeprefix(_QUESTION)
        if outcome in self.questions and "seconds" in facts:
            self.questions[outcome] += 1
            self.question_seconds.add(facts["seconds"])
