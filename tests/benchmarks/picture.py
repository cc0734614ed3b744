"""The results as a picture: how far each ratio is from its target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.benchmarks.scenario import Verdict
from tests.benchmarks.table import number

_MET, _MISSED = "#4c9a6a", "#c8553d"

_LEAST = 0.01
"""What is drawn where hardly anything was used; the axis has no zero."""

_MOST = 100.0
"""What is drawn where far more was used, as for what did not end at all."""


def share(verdict: Verdict) -> float | None:
    """Return which part of what is allowed was used: 1 is the target, less is better; None where that is not known."""
    value, limit = verdict.value, verdict.target.limit
    if value is None or (verdict.target.at_least and not value):
        return None
    return min(_MOST, max(_LEAST, limit / value if verdict.target.at_least else value / limit))


def draw(place: Path, verdicts: Mapping[str, Iterable[Verdict]]) -> Path:
    """Write the picture below `place`, and return its file."""
    from matplotlib.figure import Figure

    rows = [(verdict, part) for found in verdicts.values() for verdict in found if (part := share(verdict)) is not None]
    figure = Figure(figsize=(11, 1.2 + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots()
    colours = [_MET if verdict.is_met else _MISSED for verdict, _ in rows]
    bars = axes.barh([verdict.target.text for verdict, _ in rows], [part for _, part in rows], color=colours)
    axes.bar_label(bars, [_label(verdict) for verdict, _ in rows], padding=3, backgroundcolor="white")
    axes.axvline(1.0, color="black", linewidth=1, zorder=0)
    axes.set_xscale("log")
    parts = [1.0, *(part for _, part in rows)]
    axes.set_xlim(min(parts) / 2, 5 * max(parts))
    axes.invert_yaxis()
    axes.set_xlabel("part of what the target allows; left of the line it is met")
    path = place / "targets.png"
    figure.savefig(path, dpi=120)
    return path


def _label(verdict: Verdict) -> str:
    return f"{number(verdict.value or 0.0)} of {number(verdict.target.limit)}"
