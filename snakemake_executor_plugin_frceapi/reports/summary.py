"""The line with which a run ends."""

from __future__ import annotations

from collections.abc import Sequence

from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.reports.figures import duration, figures_of


def summary(records: Sequence[Record]) -> str:
    """Return what became of the jobs of a run, how long they waited and what they used; empty where there were none."""
    if not records:
        return ""
    found = figures_of(records)
    parts = [f"{found.fates[fate]} {fate.value}" for fate in (Fate.SUCCEEDED, Fate.FAILED)]
    parts += [f"{found.tried_again} tried again"]
    parts += [f"{found.fates[fate]} {word}" for fate, word in _RARE.items() if found.fates[fate]]
    line = f"{found.jobs} job{'s' if found.jobs > 1 else ''}: {', '.join(parts)}"
    if found.queue_median is not None:
        line += f"; in the queue {duration(found.queue_median)} (median), {duration(found.queue_longest)} (longest)"
    return f"{line}; CPU hours {_hours(found.cpu_hours_held)} asked for, {_hours(found.cpu_hours_used)} used."


_RARE = {Fate.CANCELLED: "cancelled", Fate.LEFT: "left to run on"}


def _hours(hours: float) -> str:
    return f"{hours:.0f}" if hours >= 9.95 else f"{hours:.2g}"
