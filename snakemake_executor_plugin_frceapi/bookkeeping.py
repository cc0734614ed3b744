"""Records in Snakemake's own books the jobs that ended well while no Snakemake was there.

Their outputs are complete, so Snakemake never hands such jobs to an executor, and without a record it could not tell
later that their code or parameters have changed. Snakemake's own objects are used, not its interface: whatever fails
leaves a job without a record, as it would be without this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snakemake_executor_plugin_frceapi.identity import products_of, works_of
from snakemake_executor_plugin_frceapi.journal import Entry
from snakemake_executor_plugin_frceapi.recovery import Legacy
from snakemake_executor_plugin_frceapi.spool import Spool


def record_ended(workflow: Any, legacy: Legacy, spool: Spool) -> list[Entry]:
    """Record the jobs of earlier runs that have ended well meanwhile and that Snakemake need not run.

    Args:
        workflow: Snakemake's workflow, its DAG complete.
        legacy: what earlier runs have left.
        spool: the run directory.

    Returns:
        The submissions all of whose jobs are recorded; nothing is left to do for them.
    """
    ended = [entry for entry in legacy.entries if legacy.has_ended_well(entry)]
    if not ended:
        return []
    try:
        jobs = {product: job for job in workflow.dag.jobs for product in products_of(job)}
        return [entry for entry in ended if _record(workflow, entry, jobs, spool)]
    except Exception:  # noqa: BLE001 - Snakemake's inside has changed: no record, and no failed run
        return []


def _record(workflow: Any, entry: Entry, jobs: dict[str, Any], spool: Spool) -> bool:
    """Record the jobs of one submission, and return whether all of them are recorded."""
    mine = list(dict.fromkeys(jobs[product] for product in entry.products if product in jobs))
    known = {product for job in mine for product in products_of(job)}
    if entry.products - known or any(workflow.dag.needrun(job) for job in mine):
        return False
    works = {work for job in mine for work in works_of(job) if work.signature}
    if works != set(entry.works):
        return False
    end = spool.latest_end(entry.token)
    for job in mine:
        workflow.async_run(workflow.persistence.finished(job))
        if end is not None:
            _set_start(workflow.persistence, job, end.start)
    return True


def _set_start(persistence: Any, job: Any, start: float) -> None:
    """Give a record the start of its job; Snakemake takes it from a marker that the job itself has removed."""
    for path, record in _records(persistence, job):
        record.starttime = min(start, record.endtime)
        persistence._write_record(persistence._get_key(path), record)  # noqa: SLF001 - there is no other way


def _records(persistence: Any, job: Any) -> Iterator[tuple[Any, Any]]:
    for path in job.output:
        record = persistence.metadata(path)
        if record is not None:
            yield path, record
