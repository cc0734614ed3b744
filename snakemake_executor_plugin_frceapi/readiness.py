"""What the plugin needs to know of a job, read from Snakemake's objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.identity import products_of, works_of
from snakemake_executor_plugin_frceapi.job import Work
from snakemake_executor_plugin_frceapi.preparation import ReadyJob
from snakemake_executor_plugin_frceapi.resources import NOT_SUMMED


def ready_job(job: Any, jobname: str, command: str, jobscript: str) -> ReadyJob:
    """Return what is known of a job or group job whose input files exist.

    Args:
        job: Snakemake's job.
        jobname: what ``--jobname`` makes of it.
        command: its job command.
        jobscript: text of the file of ``--jobscript``.

    Raises:
        JobError: that file cannot be filled in.
    """
    group = job.is_group()
    wildcards = {} if group else dict(job.get_target_spec()[0].wildcards_dict)
    return ReadyJob(
        name=str(job.groupid) if group else job.name,
        is_group=group,
        works=works_of(job),
        wildcards=_texts(wildcards),
        attempt=job.attempt,
        resources=_group_resources(job) if group else dict(job.resources.items()),
        threads=job.threads,
        jobname=jobname,
        command=command,
        jobscript=_fill_in(jobscript, job.properties(), command),
    )


def early_job(job: Any, resources: Mapping[str, Any], command: str, jobscript: str) -> ReadyJob:
    """Return what is known of a job whose input files do not exist yet; its parameters are not evaluated.

    Args:
        job: Snakemake's job.
        resources: its resources that are sent, and its threads as ``_cores``.
        command: its job command.
        jobscript: text of the file of ``--jobscript``.

    Raises:
        JobError: that file cannot be filled in.
    """
    known = {
        "type": "single",
        "rule": job.rule.name,
        "local": False,
        "input": list(map(str, job.input)),
        "output": list(map(str, job.output)),
        "wildcards": _texts(job.wildcards_dict),
        "log": list(map(str, job.log)),
        "threads": resources["_cores"],
        "jobid": job.jobid,
    }
    return ReadyJob(
        name=job.name,
        is_group=False,
        works=(Work(job.rule.name, products_of(job), ""),),
        wildcards=_texts(job.wildcards_dict),
        attempt=job.attempt,
        resources=resources,
        threads=resources["_cores"],
        jobname=f"snakejob.{job.name}.{job.jobid}.sh",
        command=command,
        jobscript=_fill_in(jobscript, json.dumps(known), command),
    )


def _group_resources(group: Any) -> dict[str, Any]:
    """Return what a group asks for, which Snakemake adds up for jobs that run beside one another.

    Memory per CPU does not grow with the number of jobs, and a group is one task, unless one of its rules uses MPI.
    """
    found = dict(group.resources.items())
    for name in NOT_SUMMED:
        asked = [value for job in group.jobs if isinstance(value := job.resources.get(name), int)]
        if asked and isinstance(found.get(name), int) and not (name == "tasks" and found.get("mpi")):
            found[name] = max(asked)
    return found


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
