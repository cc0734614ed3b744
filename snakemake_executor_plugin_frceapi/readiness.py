"""What the plugin needs to know of a job, read from Snakemake's objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.grouping import group_resources, members_of
from snakemake_executor_plugin_frceapi.identity import products_of, works_of
from snakemake_executor_plugin_frceapi.job import Work
from snakemake_executor_plugin_frceapi.lookahead import parameters_of
from snakemake_executor_plugin_frceapi.preparation import ReadyJob

USUAL_JOBNAME = "snakejob.{name}.{jobid}.sh"
"""What ``--jobname`` is unless the user says otherwise."""


def usual_jobname(job: Any) -> str:
    """Return what `USUAL_JOBNAME` makes of a job."""
    return USUAL_JOBNAME.format(name=job.name, jobid=job.jobid)


def ready_job(job: Any, jobname: str, command: str, jobscript: str, awaited: tuple[str, ...] = ()) -> ReadyJob:
    """Return what is known of a job or group job whose resources and parameters are final.

    Args:
        job: Snakemake's job.
        jobname: what ``--jobname`` makes of it.
        command: its job command.
        jobscript: text of the file of ``--jobscript``.
        awaited: those of its input files that are still to be made.

    Raises:
        JobError: that file cannot be filled in.
    """
    group = job.is_group()
    wildcards = {} if group else dict(job.get_target_spec()[0].wildcards_dict)
    return ReadyJob(
        name=str(job.groupid) if group else job.name,
        is_group=group,
        works=works_of(job, awaited),
        wildcards=_texts(wildcards),
        attempt=job.attempt,
        resources=group_resources(job) if group else dict(job.resources.items()),
        threads=job.threads,
        jobname=jobname,
        command=command,
        jobscript=_fill_in(jobscript, job.properties(), command),
        awaited=awaited,
    )


def early_job(
    job: Any, resources: Mapping[str, Any], command: str, jobscript: str, awaited: tuple[str, ...] = ()
) -> ReadyJob:
    """Return what is known of a job or group job whose input files do not exist yet; nothing of it is touched.

    Args:
        job: Snakemake's job.
        resources: its resources that are sent, and its threads as ``_cores``.
        command: its job command.
        jobscript: text of the file of ``--jobscript``.
        awaited: those of its input files that are still to be made; none where it does not matter what it is made from.

    Raises:
        JobError: that file cannot be filled in.
    """
    group = job.is_group()
    wildcards = {} if group else _texts(job.wildcards_dict)
    known = {
        **({"type": "group", "groupid": job.groupid} if group else {"type": "single", "rule": job.rule.name}),
        "local": False,
        "input": list(map(str, job.input)),
        "output": list(map(str, job.output)),
        **({} if group else {"wildcards": wildcards, "log": list(map(str, job.log))}),
        "threads": resources["_cores"],
        "jobid": job.jobid,
    }
    if awaited:
        works = works_of(job, awaited, parameters_of)
    else:
        works = tuple(Work(member.rule.name, products_of(member), "") for member in members_of(job))
    return ReadyJob(
        name=str(job.groupid) if group else job.name,
        is_group=group,
        works=works,
        wildcards=wildcards,
        attempt=job.attempt,
        resources=resources,
        threads=resources["_cores"],
        jobname=usual_jobname(job),
        command=command,
        jobscript=_fill_in(jobscript, json.dumps(known), command),
        awaited=awaited,
    )


def _texts(wildcards: Mapping[str, object]) -> dict[str, str]:
    return {str(name): str(value) for name, value in wildcards.items()}


def _fill_in(jobscript: str, properties: str, command: str) -> str:
    try:
        return jobscript.format(properties=properties, exec_job=command) + "\n"
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise JobError(
            f"--jobscript: the file cannot be filled in ({type(error).__name__}: {error}); only {{properties}} and "
            "{exec_job} stand in single braces, write others twice"
        ) from None
