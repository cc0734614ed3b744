"""The results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

from rich.markup import escape
from rich.table import Table

from tests.benchmarks.scenario import Scenario, Values, Verdict


def quantities(scenario: Scenario, values: Values) -> Table:
    """Return the table of what a scenario has measured."""
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{scenario.name}: {scenario.title}")
    for heading in ("median", "least", "most", "rounds"):
        table.add_column(heading, justify="right")
    for quantity, found in values.items():
        numbers = (number(value) for value in (median(found), min(found), max(found)))
        table.add_row(escape(quantity), *numbers, str(len(found)))
    return table


def targets(verdicts: Mapping[str, Iterable[Verdict]]) -> Table:
    """Return the table of all targets, by scenario."""
    table = Table(box=None, pad_edge=False)
    for heading in ("scenario", "ratio, or quantity"):
        table.add_column(heading)
    for heading in ("is", "target", ""):
        table.add_column(heading, justify="right")
    for name, found in verdicts.items():
        for verdict in found:
            table.add_row(name, escape(verdict.target.text), *_cells(verdict))
    return table


def _cells(verdict: Verdict) -> tuple[str, str, str]:
    sign = "≥" if verdict.target.at_least else "≤"
    limit = f"{sign} {number(verdict.target.limit)}"
    if verdict.value is None:
        return "not measured", limit, ""
    return number(verdict.value), limit, "met" if verdict.is_met else "NOT MET"


def number(value: float) -> str:
    """Return a number with three digits that count, and none after the point from 100 on."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
