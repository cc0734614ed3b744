"""What log records tell of a job's state beside their text, for logger plugins."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from enum import StrEnum, unique
from typing import Any

from snakemake_executor_plugin_frceapi.submission import Submission

VERSION = 1

_NUMBER_OF_EVENT = {"job_finished": "job_id", "job_error": "jobid"}
"""Snakemake's log event for the end of a job, of a group of each member → attribute of its record with the number."""


@unique
class Phase(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


def progress_mark(workflow: Any) -> dict[str, Any]:
    """Return the attribute of a log record by which Snakemake drops it under ``--quiet progress``.

    Args:
        workflow: Snakemake's workflow; what it must be quiet about are members of an enum of its own.
    """
    marks = [what for what in workflow.output_settings.quiet or () if what.name == "PROGRESS"]
    return {"quietness": marks[0]} if marks else {}


def remote_job_state(phase: Phase, item: Submission, jobid: object, outcome: str = "") -> dict[str, Any]:
    """Return the attributes of a log record about a job that has come to a phase.

    Args:
        phase: that phase.
        item: its submission.
        jobid: Snakemake's own number of the job.
        outcome: what became of it, once it has ended.
    """
    state = item.history.state  # of a job that has ended it may be an old one
    facts = {
        "version": VERSION,
        "executor": "frceapi",
        "phase": phase.value,
        "jobid": jobid,
        "external_jobid": item.external_jobid,
        "rule": item.rule,
        "attempt": item.attempt,
        "partition": item.request.partition,
        "remote_state": state.value if state and (state.is_final or not outcome) else None,
        "outcome": outcome or None,
        "log": str(item.log),
    }
    return {"remote_job_state": {name: value for name, value in facts.items() if value is not None}}


class Ends(logging.Filter):
    """Adds to Snakemake's own log record of the end of a job what became of it on the cluster.

    So no line is added for it. That a filter may add to records is told in Python's "Logging Cookbook".
    """

    def __init__(self) -> None:
        super().__init__()
        self._facts: dict[object, dict[str, Any]] = {}

    def note(self, item: Submission, *, succeeded: bool) -> None:
        """Keep what became of a job until Snakemake tells of it."""
        outcome = "succeeded" if succeeded else "failed"
        for job in [info.job for info in item.job_infos]:
            facts = remote_job_state(Phase.ENDED, item, job.jobid, outcome)
            self._facts |= dict.fromkeys((member.jobid for member in getattr(job, "jobs", [job])), facts)

    def filter(self, record: logging.LogRecord) -> bool:
        """Add to a record, and let each pass."""
        name = _NUMBER_OF_EVENT.get(str(getattr(record, "event", "")))
        if name is not None:
            record.__dict__.update(self._facts.pop(getattr(record, name, None), {}))
        return True


def started(items: Iterable[Submission]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a line and the attributes of its log record for each job that has started."""
    for item in items:
        for info in item.job_infos:
            line = f"Job {item.external_jobid} of {item.rule} has started."
            yield line, remote_job_state(Phase.RUNNING, item, info.job.jobid)
