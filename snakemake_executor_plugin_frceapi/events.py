"""What log records tell of a job's state beside their text, for logger plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum, unique
from typing import Any

from snakemake_executor_plugin_frceapi.submission import Submission

VERSION = 1


@unique
class Phase(StrEnum):
    """Where a job is; Snakemake's own events for its end name the external jobid as well."""

    QUEUED = "queued"
    RUNNING = "running"


def progress_mark(workflow: Any) -> dict[str, Any]:
    """Return the attribute of a log record by which Snakemake drops it under ``--quiet progress``.

    Args:
        workflow: Snakemake's workflow; what it must be quiet about are members of an enum of its own.
    """
    marks = [what for what in workflow.output_settings.quiet or () if what.name == "PROGRESS"]
    return {"quietness": marks[0]} if marks else {}


def remote_job_state(phase: Phase, item: Submission, jobid: object) -> dict[str, Any]:
    """Return the attributes of a log record about a job that has come to a phase.

    Args:
        phase: that phase.
        item: its submission.
        jobid: Snakemake's own number of the job.
    """
    facts = {
        "version": VERSION,
        "executor": "frceapi",
        "phase": phase.value,
        "jobid": jobid,
        "external_jobid": item.external_jobid,
        "rule": item.rule,
        "attempt": item.attempt,
        "partition": item.request.partition,
        "remote_state": item.history.state.value if item.history.state else None,
        "log": str(item.log),
    }
    return {"remote_job_state": {name: value for name, value in facts.items() if value is not None}}


def started(items: Iterable[Submission]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a line and the attributes of its log record for each job that has started."""
    for item in items:
        for info in item.job_infos:
            line = f"Job {item.external_jobid} of {item.rule} has started."
            yield line, remote_job_state(Phase.RUNNING, item, info.job.jobid)
