"""What look-ahead has done in a run, for the line at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of look-ahead.

    Attributes:
        went_ahead: jobs that were sent before their inputs existed.
        attached: those of them that Snakemake has come to.
        dropped: those of them that were cancelled.
        refused: by job, why others did not go ahead, as a clause that fits behind "because".
        gate_seconds: how long each that has ended well was held at its gate.
    """

    went_ahead: int = 0
    attached: int = 0
    dropped: int = 0
    refused: dict[Hashable, str] = field(default_factory=dict)
    gate_seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        """One line, empty where there is nothing to tell."""
        if not self.went_ahead and not self.refused:
            return ""
        line = f"Look-ahead: {self.went_ahead} went ahead, {self.attached} attached, {self.dropped} dropped"
        reasons = [f"{number} because {reason}" for reason, number in Counter(self.refused.values()).most_common()]
        line += f"; the normal way went {', '.join(reasons)}." if reasons else "."
        if waits := self.gate_seconds:
            line += f" Gates held jobs for {sum(waits):.0f} s in all, {max(waits):.0f} s at most."
        return line
