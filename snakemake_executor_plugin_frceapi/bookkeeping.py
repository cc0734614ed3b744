"""Keeps Snakemake's own books for jobs that Snakemake does not follow itself.

The outputs of a job that ended well while no Snakemake was there are complete, so Snakemake never hands it to an
executor, and without a record it could not tell later that its code or parameters have changed. Snakemake's own objects
are used, not its interface: whatever fails leaves a job without a record, as it would be without this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

from snakemake_executor_plugin_frceapi.identity import products_of, works_of
from snakemake_executor_plugin_frceapi.journal import Entry
from snakemake_executor_plugin_frceapi.recovery import Legacy
from snakemake_executor_plugin_frceapi.spool import Spool


def record_ended(workflow: Any, legacy: Legacy, spool: Spool, warn: Callable[[str], None]) -> list[Entry]:
    """Record the jobs of earlier runs that have ended well meanwhile and that Snakemake need not run.

    Args:
        workflow: Snakemake's workflow, its DAG complete.
        legacy: what earlier runs have left.
        spool: the run directory.
        warn: receives a line about outputs that Snakemake takes as they are although what they are made from has
            changed; of these there is no record.

    Returns:
        The submissions for which nothing is left to do.
    """
    ended = [entry for entry in legacy.entries if legacy.has_ended_well(entry)]
    settled: list[Entry] = []
    recorded: list[Any] = []
    if not ended:
        return settled
    with suppress(Exception):  # Snakemake's inside has changed: no record, and no failed run
        makers = {product: job for job in workflow.dag.jobs for product in products_of(job)}
        for entry in ended:
            with suppress(Exception):  # nor is what cannot be recorded for one job a reason to forget the others
                jobs = _makers_of(entry, makers)
                if jobs and not any(workflow.dag.needrun(job) for job in jobs):
                    recorded += _record(workflow, entry, jobs, spool, warn)
                    settled.append(entry)
        for job in recorded:  # when all are recorded, because a record tells of the inputs too
            workflow.async_run(workflow.dag.handle_temp(job))
    return settled


def record(workflow: Any, job: Any, start: float) -> None:
    """Record a job that has ended well.

    Args:
        workflow: Snakemake's workflow.
        job: Snakemake's job.
        start: when it began, in seconds of the epoch.
    """
    workflow.async_run(workflow.persistence.finished(job))
    _set_start(workflow.persistence, job, start)


def evaluate_anew(job: Any) -> None:
    """Let a job forget the parameters that were evaluated before its inputs were there; Snakemake does that once."""
    job._params_and_resources_resetted = False  # noqa: SLF001 - there is no other way
    job.reset_params_and_resources()
    _ = job.resources  # in the event loop, where the record is made, Snakemake cannot ask for the size of an input


def remove_outputs(workflow: Any, job: Any, *, has_ended_by_itself: bool) -> None:
    """Remove what a job has left that began and did not end well, as Snakemake does, unless it is to be kept.

    A job that was ended from outside may not have begun: then its outputs are those of an earlier run.

    Args:
        workflow: Snakemake's workflow.
        job: Snakemake's job.
        has_ended_by_itself: whether it surely began.
    """
    workflow.persistence.deactivate_cache()
    begun = has_ended_by_itself or workflow.async_run(workflow.persistence.incomplete(job))
    if begun and not workflow.execution_settings.keep_incomplete:
        workflow.async_run(job.cleanup(()))
        workflow.persistence.cleanup(job)


def _makers_of(entry: Entry, makers: Mapping[str, Any]) -> Sequence[Any]:
    """Return the jobs that make what a submission has made; none if the workflow of now lacks one of them."""
    jobs = list(dict.fromkeys(makers[product] for product in entry.products if product in makers))
    made = {product for job in jobs for product in products_of(job)}
    return jobs if entry.products <= made else []


def _record(
    workflow: Any, entry: Entry, jobs: Sequence[Any], spool: Spool, warn: Callable[[str], None]
) -> Sequence[Any]:
    """Record the jobs of a submission; return those that could be recorded."""
    for job in jobs:
        evaluate_anew(job)
    works = {work for job in jobs for work in works_of(job, entry.products.union(entry.awaited))}
    if not all(work.signature for work in works.union(entry.works)):
        return ()
    if works != set(entry.works):
        warn(
            f"Rule {entry.rule}: job {entry.external_jobid} of an earlier run has ended well, but its code, "
            "parameters, inputs or outputs have changed since it was submitted. Snakemake takes its outputs as they "
            f"are; to make them anew, add --forcerun {' '.join(sorted({work.rule for work in works}))}."
        )
        return ()
    end = spool.latest_end(entry.token)
    for job in jobs:
        record(workflow, job, end.start if end else inf)
    return jobs


def _set_start(persistence: Any, job: Any, start: float) -> None:
    """Give a record the start of its job; Snakemake takes it from a marker that the job itself has removed."""
    persistence.deactivate_cache()  # it says that there is no record, because there was none a moment ago
    for path, record in _records(persistence, job):
        record.starttime = min(start, record.endtime)
        persistence._write_record(persistence._get_key(path), record)  # noqa: SLF001 - there is no other way


def _records(persistence: Any, job: Any) -> Iterator[tuple[Any, Any]]:
    for path in job.output:
        record = persistence.metadata(path)
        if record is not None:
            yield path, record
