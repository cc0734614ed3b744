"""The figures of each rule as a table of HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from statistics import median

from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.reports.figures import Figures, by_rule, duration, figures_of, known, printable

_HEAD = (
    "rule",
    "jobs",
    *(fate.value for fate in Fate),
    "tried again",
    "queue (median)",
    "queue (longest)",
    "run (median)",
    "CPU efficiency",
    "memory efficiency",
    "CPU hours asked for",
    "CPU hours used",
)


def rule_table(records: Iterable[Record]) -> str:
    """Return a table with one row for each rule; waits and efficiency are medians."""
    rows = [_row(rule, alike, figures_of(alike)) for rule, alike in by_rule(records).items()]
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEAD)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table>"


def _row(rule: str, records: Sequence[Record], figures: Figures) -> str:
    cells = [
        printable(rule),
        figures.jobs,
        *(figures.fates[fate] for fate in Fate),
        figures.tried_again,
        _shown(figures.queue_median, duration),
        _shown(figures.queue_longest, duration),
        _shown(_median(record.run_seconds for record in records), duration),
        _shown(_median(record.cpu_efficiency for record in records), "{:.0%}".format),
        _shown(_median(record.memory_efficiency for record in records), "{:.0%}".format),
        f"{figures.cpu_hours_held:.2f}",
        f"{figures.cpu_hours_used:.2f}",
    ]
    return f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>\n"


def _median(values: Iterable[float | None]) -> float | None:
    found = known(values)
    return median(found) if found else None


def _shown(value: float | None, write: Callable[[float], str]) -> str:
    return "-" if value is None else write(value)
