"""What a workflow must be like so that all of its jobs can be submitted at once, and which of them wait for which.

Snakemake's own objects are read, not its interface, and none of them is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.identity import made_before
from snakemake_executor_plugin_frceapi.lookahead import (
    FOLLOWS_INPUT,
    OPTED_OUT,
    OWN_NAMES,
    NotAhead,
    files_of,
    has_flag,
    resources_of,
)

MOST_UPSTREAM = 300
"""For how many jobs one job can wait: their numbers stand in its request, which has 4 KB."""

_KEPT_IN_ORDER = ("update", "before_update")


def upstream(dag: Any, job: Any) -> list[Any]:
    """Return the jobs that make inputs of a job or group job and still have to run."""
    return list(dict.fromkeys(other for other, _ in _edges(dag, job)))


def awaited(dag: Any, job: Any) -> tuple[str, ...]:
    """Return the files that those jobs make."""
    return made_before(dag, job, upstream(dag, job))


def check(workflow: Any) -> None:
    """Check that all jobs of a workflow can be submitted at once.

    Raises:
        SettingsError: some cannot; the message names their rules, what stands against it, and the remedy.
    """
    jobs = list(workflow.dag.needrun_jobs())
    for holds, reason, remedy in _obstacles(workflow):
        rules = sorted({job.rule.name for job in jobs if holds(job)})
        if rules:
            what = f"rules {', '.join(rules)} do" if len(rules) > 1 else f"rule {rules[0]} does"
            raise SettingsError(f"--immediate-submit: {what} not allow it: {reason}; {remedy.format(rule=rules[0])}")


def _edges(dag: Any, job: Any) -> Iterator[tuple[Any, Any]]:
    inside = dict.fromkeys(members_of(job))
    for member in inside:
        for other, files in list(dag.dependencies.get(member, {}).items()):
            if other not in inside and dag.needrun(other):
                yield other, files


def _obstacles(workflow: Any) -> Iterator[tuple[Callable[[Any], object], str, str]]:
    dag = workflow.dag
    leave_out = "leave --immediate-submit out"
    yield (
        lambda job: job.is_local and any(dag.needrun(other) for other in dag.depending.get(job, ())),
        "its jobs run on this machine (localrules), and others need their outputs",
        "take it out of localrules, or run it first, with --until {rule}",
    )
    yield (
        lambda job: not job.is_local and any(file.is_storage for file in files_of(job)),
        "its files are in a storage, and Snakemake moves them before and after each job",
        leave_out,
    )
    yield (
        lambda job: has_flag(job, _KEPT_IN_ORDER),
        "it updates files that others read, in an order that Snakemake keeps as jobs end",
        leave_out,
    )
    yield lambda job: job.has_queue_input(), "what it reads is not known before others run", leave_out
    yield (
        lambda job: not job.is_local and any(job.resources.get(name) for name in _limited(workflow)),
        "it uses a resource that --resources limits, and Snakemake keeps limits as jobs end",
        "leave that limit or --immediate-submit out",
    )
    yield (
        lambda job: _is_refused(workflow, job, FOLLOWS_INPUT),
        "its resources follow from inputs that are still to be made",
        "give them numbers, such as --set-resources {rule}:mem_mb=4000, also where --default-resources has none",
    )
    yield (
        lambda job: _is_refused(workflow, job, OPTED_OUT),
        "its resource frceapi_lookahead=0 says that its jobs are never submitted before their inputs are there",
        leave_out,
    )
    yield (
        lambda job: not job.is_local and len(upstream(dag, job)) > MOST_UPSTREAM,
        f"it waits for more than {MOST_UPSTREAM} jobs, whose numbers a request does not hold",
        "join those jobs in groups (group: and --group-components), or gather in two steps",
    )


def _limited(workflow: Any) -> list[str]:
    return [name for name in workflow.global_resources if name not in OWN_NAMES]


def _is_refused(workflow: Any, job: Any, reason: str) -> bool:
    """Return whether look-ahead would refuse for a reason what a job that waits for others asks for."""
    if job.is_local or not upstream(workflow.dag, job):
        return False
    try:
        resources_of(workflow, job)
    except NotAhead as refusal:
        return str(refusal) == reason
    return False
