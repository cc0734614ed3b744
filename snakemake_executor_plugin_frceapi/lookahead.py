"""Which jobs may be submitted before their inputs exist: those of which everything that is sent is known already.

Snakemake's own objects are read, not its interface, and none of them is changed: resources are evaluated on the rule,
not on the job. Whatever is missing there means that a job goes the normal way, which is always right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, NoReturn

from snakemake_executor_plugin_frceapi.resources import SENT

OPT_OUT = "frceapi_lookahead"
"""Resource with which a rule says that its jobs never go ahead."""

_UNSETTLED_FLAGS = ("checkpoint_target", "update", "before_update", "pipe", "service", "from_queue")
_OWN_NAMES = ("_cores", "_nodes", "_job_count")


class NotAhead(Exception):
    """A job goes the normal way; the text says why, as a clause that fits behind "because"."""


class _NeedsInput(BaseException):
    """A resource asks for the input files. No exception of a usual kind, because Snakemake would swallow that."""


class _InputProbe:
    """Stands for the input files of a job; every use of it ends the evaluation."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise _NeedsInput

    def __iter__(self) -> NoReturn:
        raise _NeedsInput

    def __len__(self) -> NoReturn:
        raise _NeedsInput

    def __getitem__(self, key: object) -> NoReturn:
        raise _NeedsInput

    def __str__(self) -> NoReturn:
        raise _NeedsInput

    def __bool__(self) -> NoReturn:
        raise _NeedsInput

    def __eq__(self, other: object) -> NoReturn:
        raise _NeedsInput

    def __hash__(self) -> NoReturn:
        raise _NeedsInput

    def __repr__(self) -> NoReturn:
        raise _NeedsInput


def behind(dag: Any, job: Any) -> list[Any]:
    """Return the jobs that wait for a job and still have to run."""
    return [other for other in list(dag.depending.get(job, ())) if dag.needrun(other) and not dag.finished(other)]


def unfinished(dag: Any, job: Any) -> list[Any]:
    """Return the jobs that a job still waits for."""
    return [other for other in list(dag.dependencies.get(job, ())) if dag.needrun(other) and not dag.finished(other)]


def check(workflow: Any, job: Any) -> None:
    """Check that a job may go ahead of its inputs, apart from its resources.

    Raises:
        NotAhead: it may not.
    """
    for reason, holds in _obstacles(workflow):
        if holds(job):
            raise NotAhead(reason)


def resources_of(workflow: Any, job: Any) -> Mapping[str, Any]:
    """Return the resources of a job that are sent, and its threads as ``_cores``, without touching the job.

    Raises:
        NotAhead: they follow from the input files, or the rule wants its jobs not to go ahead.
    """
    skipped = {name for name in job.rule.resources if name not in (*SENT, *_OWN_NAMES, OPT_OUT)}
    limited = set(workflow.global_resources) - set(_OWN_NAMES)
    try:
        found = job.rule.expand_resources(
            job.wildcards_dict, _InputProbe(), job.attempt, skip_evaluation=skipped - limited
        )
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise NotAhead("its resources follow from its input") from None
    values = {name: value for name, value in found.items() if name not in skipped - limited}
    if any(values.get(name) for name in limited):
        raise NotAhead("it uses a limited resource")
    if values.get(OPT_OUT) is not None and not int(values[OPT_OUT]):
        raise NotAhead("its rule says so")
    return values


def _obstacles(workflow: Any) -> Iterator[tuple[str, Callable[[Any], object]]]:
    dag = workflow.dag
    yield "it belongs to a group", dag.get_job_group
    yield "it is a checkpoint", lambda job: job.is_checkpoint
    yield "its input is not final", lambda job: job.incomplete_input_expand or job.has_queue_input()
    yield "its files have a flag that needs the normal way", _has_unsettled_flag
    yield "its files are in a storage", lambda job: any(file.is_storage for file in _files(job))
    yield "the run ends before it", lambda job: any(dag.in_until(other) for other in unfinished(dag, job))
    yield "a checkpoint comes before it", lambda job: any(other.is_checkpoint for other in unfinished(dag, job))


def _files(job: Any) -> Iterator[Any]:
    return chain(job.input, job.output, job.log)


def _has_unsettled_flag(job: Any) -> bool:
    rule_files = chain(job.rule.input, job.rule.output)
    return any(
        flag in getattr(file, "flags", {}) for file in chain(_files(job), rule_files) for flag in _UNSETTLED_FLAGS
    )
