"""Runs as a timeline shows them: one of ten jobs with all that can become of a job, and one of any number."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from snakemake_executor_plugin_frceapi.job import NOT_MEASURED, Usage
from snakemake_executor_plugin_frceapi.record import Fate, Record
from tests.records import REQUEST, record

BEGIN = 1_767_225_600.0
"""The first of January 2026 in UTC, in seconds of the epoch."""

_LOG = "/scratch/project/analysis/.snakemake/frceapi_logs/rule_{rule}/{number}.log"
_RULES = ("trim_reads", "align", "sort_alignments", "mark_duplicates", "call_variants", "annotate", "report")


def ten_jobs() -> list[Record]:
    """Return jobs with each fate, a retry, a head start, a gate, long wildcards, and one that was never on a node."""
    lane = "sample=patient-017-tumour, lane=L001, reference=GRCh38.primary_assembly"
    return [
        _job(1, "trim_reads", 0, 40, 40, 130, wildcards="sample=A"),
        _job(2, "trim_reads", 1, 45, 45, 150, wildcards="sample=B"),
        _job(3, "trim_reads", 2, 60, 60, 85, wildcards="sample=C", fate=Fate.FAILED),
        replace(_job(4, "trim_reads", 90, 100, 100, 180, wildcards="sample=C", attempt=2), work=("3",)),
        _job(5, "align", 3, 90, 131, 420, wildcards="sample=A", went_ahead=True),
        _job(6, "align", 4, 120, 152, 400, wildcards="sample=B", went_ahead=True),
        _job(7, "align", 6, 100, 100, 680, wildcards=lane),
        replace(_job(8, "report", 5, None, None, 590, wildcards="", fate=Fate.CANCELLED), usage=NOT_MEASURED),
        _job(9, "call_variants", 325, 470, 470, None, wildcards=lane, fate=Fate.LEFT),
        _job(10, "call_variants", 595, None, None, None, wildcards="sample=C", fate=Fate.LEFT),
    ]


def many_jobs(count: int) -> list[Record]:
    """Return the jobs of a run over many samples, one rule after another, some of them tried again."""
    chance = Random(1)  # noqa: S311 - the same jobs each time
    return [_one_of_many(number, count, chance) for number in range(count)]


def _one_of_many(number: int, count: int, chance: Random) -> Record:
    stage, sample = divmod(number * len(_RULES), count)
    submitted = 900.0 * stage + 2400 * sample / count + chance.uniform(0, 60)
    started = submitted + chance.expovariate(1 / 240)
    begun = started + (chance.uniform(0, 90) if stage % 3 == 1 else 0)
    ended = begun + chance.gammavariate(3, 150)
    return _job(
        number,
        _RULES[stage],
        submitted,
        started,
        begun,
        ended,
        wildcards=f"sample=S{sample:05}",
        went_ahead=stage % 3 == 1,
        attempt=2 if chance.random() < 0.03 else 1,
        fate=chance.choices(list(Fate), [95, 3, 1, 1])[0],
    )


def _job(
    number: int,
    rule: str,
    submitted: float,
    started: float | None,
    begun: float | None,
    ended: float | None,
    **changes: object,
) -> Record:
    def at(seconds: float | None) -> float | None:
        return None if seconds is None else BEGIN + seconds

    return record(
        f"{number}",
        rule=rule,
        members=(rule,),
        external_jobid=str(4_000_000 + number),
        request=REQUEST,
        log=_LOG.format(rule=rule, number=4_000_000 + number),
        submitted=at(submitted),
        started=at(started),
        begun=at(begun),
        ended=at(ended),
        cpu_seconds=None if begun is None or ended is None else 2.9 * (ended - begun),
        usage=Usage(node=f"cn{number % 40:03}", peak_mb=100 + number * 37 % 900, measured_by="samples"),
        **changes,
    )
