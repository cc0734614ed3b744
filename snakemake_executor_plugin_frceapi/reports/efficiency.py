"""What jobs used of what they asked for: a table, and the options that ask for less."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil
from statistics import median

from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.reports.figures import by_rule, known, printable

_Cell = str | int | float | None

_COLUMNS: dict[str, Callable[[Record], _Cell]] = {
    "external_jobid": lambda record: record.external_jobid,
    "rule": lambda record: record.rule,
    "wildcards": lambda record: record.wildcards,
    "attempt": lambda record: record.attempt,
    "outcome": lambda record: record.fate.value,
    "partition": lambda record: record.request.partition,
    "node": lambda record: record.usage.node,
    "queue_seconds": lambda record: record.queue_seconds,
    "gate_seconds": lambda record: record.gate_seconds,
    "time_asked_seconds": lambda record: (
        60 * record.request.time_limit_minutes if record.request.time_limit_minutes else None
    ),
    "time_used_seconds": lambda record: record.run_seconds,
    "time_efficiency": lambda record: record.time_efficiency,
    "cpus_asked": lambda record: record.request.cpus,
    "cpu_seconds_used": lambda record: record.cpu_seconds,
    "cpu_efficiency": lambda record: record.cpu_efficiency,
    "memory_asked_mb": lambda record: record.request.memory_mb,
    "memory_used_mb": lambda record: record.usage.peak_mb,
    "memory_measured_by": lambda record: record.usage.measured_by,
    "memory_efficiency": lambda record: record.memory_efficiency,
    "log": lambda record: record.log,
}
"""Column → its cell of a job; what is not known is empty."""

_SPARE = 1.2
_MEMORY_STEP_MB = 50
_HELPERS = 0.1
"""CPUs that the processes around a computation may keep busy, and that nobody needs to ask for."""


def has_run(record: Record) -> bool:
    """Return whether there is something to tell of what a job used."""
    return record.started is not None and record.fate is not Fate.LEFT


def table(records: Iterable[Record]) -> str:
    """Return the table of all jobs that have run, as CSV with a head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for record in filter(has_run, records):
        writer.writerow([_shown(cell(record)) for cell in _COLUMNS.values()])
    return text.getvalue()


def advice(records: Iterable[Record], threshold: float) -> Iterator[str]:
    """Tell which rules have jobs that used less than they asked for, and what to ask for.

    Time limits are left out: one that is too long costs nothing but a later start.

    Args:
        records: the jobs.
        threshold: the part of CPUs and memory that should be used.

    Yields:
        One line for each such rule.
    """
    good = [record for record in records if record.fate is Fate.SUCCEEDED]
    for rule, alike in by_rule(good).items():
        low = [record for record in alike if _is_low(record, threshold)]
        if not low:
            continue
        yield (
            f"{'Rule' if alike[0].members == (rule,) else 'Group'} {rule}: {len(low)} of {len(alike)} "
            f"job{'s' if len(alike) > 1 else ''} used less than {threshold:.0%} of what they asked for ({_used(low)}); "
            f"{_remedy(rule, alike, threshold)}"
        )


def _is_low(record: Record, threshold: float) -> bool:
    """Whether a job could have asked for less: not one that asked for a single CPU and kept it waiting."""
    has_spare_cpus = record.request.cpus > 1 and _is_below(record.cpu_efficiency, threshold)
    return has_spare_cpus or _is_below(record.memory_efficiency, threshold)


def _is_below(part: float | None, threshold: float) -> bool:
    return part is not None and part < threshold


def _used(records: Sequence[Record]) -> str:
    """What some jobs used in the median."""
    parts = {
        "CPU": known(record.cpu_efficiency for record in records),
        "memory": known(record.memory_efficiency for record in records),
    }
    return ", ".join(f"{name} {median(values):.0%}" for name, values in parts.items() if values)


def _remedy(rule: str, records: Sequence[Record], threshold: float) -> str:
    """What to ask for: enough for the job of the rule that used most."""
    if records[0].members != (rule,):
        return f"ask for less in its rules {', '.join(records[0].members)}"
    cpus, memory = _cpus(records, threshold), _memory(records, threshold)
    options = [f"--set-threads {rule}={cpus}"] if cpus else []
    if memory and records[0].request.mem_mb_per_cpu is None:
        options.append(f"--set-resources {rule}:mem_mb={memory}")
    elif memory:
        options.append(f"--set-resources {rule}:mem_mb_per_cpu={ceil(memory / (cpus or records[0].request.cpus))}")
    if not options:
        return "others of the rule need that much: let it follow from the input or the attempt"
    return f"ask for less with: {' '.join(options)}"


def _cpus(records: Sequence[Record], threshold: float) -> int | None:
    """How many CPUs are enough for all of these jobs, None where as many as they asked for."""
    busy = known(record.busy_cpus for record in records)
    asked = min(record.request.cpus for record in records)
    if not busy or max(busy) >= threshold * asked:
        return None
    enough = max(1, ceil(max(busy) - _HELPERS))
    return enough if enough < asked else None


def _memory(records: Sequence[Record], threshold: float) -> int | None:
    """How much memory in MB is enough for all of these jobs, None where as much as they asked for."""
    peaks = known(record.usage.peak_mb for record in records if record.memory_efficiency is not None)
    asked = min(known(record.request.memory_mb for record in records), default=0.0)
    if not peaks or max(peaks) >= threshold * asked:
        return None
    enough = _MEMORY_STEP_MB * max(1, ceil(max(peaks) * _SPARE / _MEMORY_STEP_MB))
    return enough if enough < asked else None


def _shown(cell: _Cell) -> _Cell:
    if isinstance(cell, float):
        return round(cell, 3)
    return printable(cell) if isinstance(cell, str) else cell
