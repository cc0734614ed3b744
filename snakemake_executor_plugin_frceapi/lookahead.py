"""Which jobs may be submitted before their inputs exist: those of which everything that is sent is known already.

Snakemake's own objects are read, not its interface, and none of them is changed: resources are evaluated on the rule,
not on the job. Whatever is missing there means that a job goes the normal way, which is always right.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, NoReturn

from snakemake_executor_plugin_frceapi.grouping import foreseen_resources, members_of
from snakemake_executor_plugin_frceapi.resources import SENT

OPT_OUT = "frceapi_lookahead"
"""Resource with which a rule says that its jobs never go ahead."""

GATE_MINUTES = 10
"""How much longer the time limit of a job is that may have to wait at its gate."""

FOLLOWS_INPUT = "its resources follow from its input"
OPTED_OUT = "its rule says so"

_UNSETTLED_FLAGS = ("checkpoint_target", "update", "before_update", "pipe", "service", "nodelocal", "from_queue")
OWN_NAMES = ("_cores", "_nodes", "_job_count")
"""Resources that Snakemake counts itself, which no user limits by their names."""


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


class _NoFiles:
    """Stands for the input files where Snakemake turns them into plain strings before anybody asks for them."""

    def _plainstrings(self) -> _InputProbe:
        return _InputProbe()


def behind(dag: Any, job: Any) -> list[Any]:
    """Return the jobs and group jobs that wait for a job, which is no group, and still have to run."""
    waiting = [other for other in list(dag.depending.get(job, ())) if dag.needrun(other) and not dag.finished(other)]
    return list(dict.fromkeys(dag.get_job_group(other) or other for other in waiting))


def unfinished(dag: Any, job: Any) -> list[Any]:
    """Return the jobs that a job or group job still waits for; none of them is a group."""
    members = dict.fromkeys(members_of(job))
    upstream = dict.fromkeys(other for member in members for other in dag.dependencies.get(member, ()))
    return [other for other in upstream if other not in members and dag.needrun(other) and not dag.finished(other)]


def check(dag: Any, job: Any, upstream: Sequence[Any]) -> None:
    """Check that a job or group job may go ahead of its inputs, apart from its resources.

    Args:
        dag: Snakemake's DAG.
        job: Snakemake's job.
        upstream: the jobs that it still waits for.

    Raises:
        NotAhead: it may not.
    """
    for reason, holds in _obstacles(dag, upstream):
        if any(holds(member) for member in members_of(job)):
            raise NotAhead(reason)


def resources_of(workflow: Any, job: Any) -> Mapping[str, Any]:
    """Return the resources of a job or group job that are sent, and its threads as ``_cores``, without touching it.

    Raises:
        NotAhead: they follow from the input files, or a rule wants its jobs not to go ahead.
    """
    if job.is_group():
        return foreseen_resources(job, partial(_resources_of_one, workflow))
    return _resources_of_one(workflow, job)


def _resources_of_one(workflow: Any, job: Any) -> Mapping[str, Any]:
    limited = set(workflow.global_resources) - set(OWN_NAMES)
    values = evaluate(job, {*SENT, *OWN_NAMES, OPT_OUT, *limited})
    if any(values.get(name) for name in limited):
        raise NotAhead("it uses a limited resource")
    if values.get(OPT_OUT) is not None and not int(values[OPT_OUT]):
        raise NotAhead(OPTED_OUT)
    return values


def evaluate(job: Any, names: Container[str]) -> Mapping[str, Any]:
    """Return some resources of a job as they are whatever its input is, without touching the job.

    Args:
        job: Snakemake's job.
        names: the names of the resources as its rule has them; its threads are always told, as ``_cores``.

    Raises:
        NotAhead: one of them follows from the input files.
    """
    skipped = {name for name in job.rule.resources if name not in names and name != "_cores"}
    with _whatever_the_input_is(FOLLOWS_INPUT):
        found = job.rule.expand_resources(job.wildcards_dict, _InputProbe(), job.attempt, skip_evaluation=skipped)
    return {name: value for name, value in found.items() if name not in skipped}


def parameters_of(job: Any) -> tuple[Iterable[str], Iterable[object]]:
    """Return the names of a job's parameters, and those that follow from nothing else, without touching the job.

    Raises:
        NotAhead: one cannot be evaluated yet, and Snakemake evaluates all of them or none.
    """
    with _whatever_the_input_is("its parameters follow from its input"):
        found, plain = job.rule.expand_params(job.wildcards_dict, _NoFiles(), job.output, _InputProbe())
    return found.keys(), plain


@contextmanager
def _whatever_the_input_is(reason: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise NotAhead(reason) from None


def _obstacles(dag: Any, upstream: Sequence[Any]) -> Iterator[tuple[str, Callable[[Any], object]]]:
    yield "it is a checkpoint", lambda job: job.is_checkpoint
    yield "its input is not final", lambda job: job.incomplete_input_expand or job.has_queue_input()
    yield "its files have a flag that needs the normal way", lambda job: has_flag(job, _UNSETTLED_FLAGS)
    yield "its files are in a storage", lambda job: any(file.is_storage for file in files_of(job))
    yield "the run ends before it", lambda _: any(dag.in_until(other) for other in upstream)
    yield "a checkpoint comes before it", lambda _: any(other.is_checkpoint for other in upstream)


def files_of(job: Any) -> Iterator[Any]:
    """Return inputs, outputs and logs of a job."""
    return chain(job.input, job.output, job.log)


def has_flag(job: Any, flags: Iterable[str]) -> bool:
    """Return whether a file of a job has one of some flags, there or in its rule."""
    rule_files = chain(job.rule.input, job.rule.output)
    return any(flag in getattr(file, "flags", {}) for file in chain(files_of(job), rule_files) for flag in flags)
