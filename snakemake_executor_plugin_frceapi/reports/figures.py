"""The figures of a run or of one of its rules, from the records of its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from snakemake_executor_plugin_frceapi.record import Fate, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of some jobs.

    Attributes:
        jobs: how many jobs there are, each counted once, however often it was tried.
        fates: how many of them have come to each end, by their last try.
        tried_again: how many tries there were beside the first ones.
        queue_median: median of the waits in the queue in seconds, None where none is known.
        queue_longest: the longest of them.
        cpu_hours_held: CPUs that were asked for, times the hours for which they were held.
        cpu_hours_used: CPU time that was used.
    """

    jobs: int
    fates: dict[Fate, int]
    tried_again: int
    queue_median: float | None
    queue_longest: float | None
    cpu_hours_held: float
    cpu_hours_used: float


def figures_of(records: Sequence[Record]) -> Figures:
    """Return the figures of the jobs that have these records."""
    last = {record.work: record for record in records}
    waits = known(record.queue_seconds for record in records)
    return Figures(
        jobs=len(last),
        fates={fate: sum(record.fate is fate for record in last.values()) for fate in Fate},
        tried_again=sum(record.attempt > 1 and record.fate is not Fate.CANCELLED for record in records),
        queue_median=median(waits) if waits else None,
        queue_longest=max(waits, default=None),
        cpu_hours_held=sum(known(record.cpu_seconds_held for record in records)) / 3600,
        cpu_hours_used=sum(known(record.cpu_seconds for record in records)) / 3600,
    )


def by_rule(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the records of each rule, in the order in which the rules come first."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.rule, []).append(record)
    return found


def known(values: Iterable[float | None]) -> list[float]:
    """Return the values that are known."""
    return [value for value in values if value is not None]


def printable(text: str) -> str:
    """Return a text with a question mark for each character that no terminal or page shows."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def duration(seconds: float | None) -> str:
    """Return a duration for people, with its two largest units."""
    if seconds is None:
        return "unknown"
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    if seconds < 3570:
        return _two(round(seconds), 60, "min", "s")
    hours = round(seconds / 3600)
    return _two(round(seconds / 60), 60, "h", "min") if hours < 24 else _two(hours, 24, "d", "h")


def _two(amount: int, of: int, large: str, small: str) -> str:
    return f"{amount // of} {large}" + (f" {amount % of} {small}" if amount % of else "")
