"""What would become of each job of a workflow if it were submitted now, told without submitting any.

Snakemake builds no executor of ours in a dry run. So an executor that only looks takes the dry run's place: when it is
built, the jobs and groups are those of a real run, and nothing has run yet.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import ApiError, WorkflowError

from snakemake_executor_plugin_frceapi.assembly import request_defaults, request_encoding
from snakemake_executor_plugin_frceapi.errors import FrceapiError
from snakemake_executor_plugin_frceapi.executor import Executor
from snakemake_executor_plugin_frceapi.grouping import group_resources, members_of
from snakemake_executor_plugin_frceapi.lookahead import NotAhead, evaluate, unfinished
from snakemake_executor_plugin_frceapi.resources import SENT, Notice, build_request
from snakemake_executor_plugin_frceapi.spawning import Spawning
from snakemake_executor_plugin_frceapi.spool import launcher_below, new_token
from snakemake_executor_plugin_frceapi.wire import encode_request

_GUESSED = {"mem", "mem_mb_per_cpu", "runtime"}
"""Resources without which the others can be checked: a job that asks for none of them breaks no cap on them."""

_SHOWN = {"mem": "mem_mb", "_cores": "threads"}
"""What people call the resources that Snakemake gives another name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found of one job or group job.

    Attributes:
        name: its rule or group, such as "rule align".
        problem: why it would be refused, empty if it would not.
        unknown: what it asks for that cannot be known before its input files exist.
        notices: what the user would be told about it.
    """

    name: str
    problem: str = ""
    unknown: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = field(default=(), compare=False)


class Inspected(BaseException):
    """Everything was looked at, and nothing must run: no exception of a usual kind, because Snakemake would show it.

    Args:
        findings: one for each job or group that would be submitted.
        checkpoints: whether there will be more jobs that are not known yet.
    """

    def __init__(self, findings: list[Finding], *, checkpoints: bool) -> None:
        super().__init__()
        self.findings = findings
        self.checkpoints = checkpoints


def inspector(settings: Any) -> type[Executor]:
    """Return an executor that raises `Inspected` when Snakemake builds it.

    Args:
        settings: the settings of the executor that it stands for.
    """

    class Inspector(Executor):
        def __post_init__(self) -> None:
            self.wait = False
            self.wait_thread.join()
            self.executor_settings = settings
            dag = self.workflow.dag
            try:
                findings = list(_findings(self))
            except FrceapiError as error:
                raise ApiError(str(error)) from None
            raise Inspected(findings, checkpoints=any(map(dag.needrun, dag.checkpoint_jobs)))

    return Inspector


def _findings(executor: Executor) -> Iterator[Finding]:
    dag = executor.workflow.dag
    look = _Look(executor)
    for job in dict.fromkeys(dag.get_job_group(job) or job for job in dag.needrun_jobs()):
        if not job.is_local:
            yield look.at(job)


class _Look:
    """Looks at jobs as they would be submitted.

    Args:
        executor: the executor that knows the workflow.

    Raises:
        SettingsError: a setting is wrong.
    """

    def __init__(self, executor: Executor) -> None:
        self._dag = executor.workflow.dag
        self._has_commands = executor.checked_sharing().run_directory
        self._defaults = request_defaults(executor.executor_settings)
        self._encoding = request_encoding(executor.executor_settings)
        spool = Path(executor.workflow.persistence.path).absolute() / "frceapi" / getpass.getuser()
        self._launcher = launcher_below(spool, new_token())
        self._spawning = Spawning(executor, lambda kind, _: spool / "shared" / kind)

    def at(self, job: Any) -> Finding:
        """Return what is found of a job or group job."""
        name = f"group {job.groupid}" if job.is_group() else f"rule {job.name}"
        try:
            known, unknown = self._group(job) if job.is_group() else self._single(job)
            if self._has_commands:  # else it names sources that are packed only when a run begins
                self._spawning.early(job, {"_cores": 1, **known})
            notices = self._request(job, known, unknown) if unknown <= _GUESSED else ()
        except Exception as error:  # noqa: BLE001 - code of the workflow runs here, and its error is that of one job
            kind = "" if isinstance(error, FrceapiError | WorkflowError) else f"{type(error).__name__}: "
            return Finding(name, problem=kind + " ".join(str(error).split()))
        shown = tuple(sorted(_SHOWN.get(item, item) for item in unknown))
        return Finding(name, unknown=shown, notices=() if unknown else notices)

    def _single(self, job: Any) -> tuple[dict[str, Any], set[str]]:
        """Return what a job asks for as far as that is known, and the names of the rest."""
        if not unfinished(self._dag, job):
            return dict(job.resources.items()), set()
        with suppress(NotAhead):
            return dict(evaluate(job, SENT)), set()
        known: dict[str, Any] = {}
        unknown = set()
        for name in ("_cores", *(item for item in SENT if item in job.rule.resources)):
            try:
                known |= evaluate(job, {name})
            except NotAhead:
                unknown.add(name)
        return known, {"_cores"} if "_cores" in unknown else unknown

    def _group(self, group: Any) -> tuple[dict[str, Any], set[str]]:
        """Return the same of a group, of which what follows from its own files does not count for Snakemake either."""
        unknown: set[str] = set()
        members = members_of(group)
        for job in members:
            if any(other not in members for other in unfinished(self._dag, job)):
                unknown |= self._single(job)[1]
        return {**group_resources(group), "_cores": group.threads}, unknown

    def _request(self, job: Any, known: dict[str, Any], unknown: set[str]) -> tuple[Notice, ...]:
        """Return the notices about a job's request, which must be possible whatever is unknown of it."""
        defaults = self._defaults
        if "runtime" in unknown:
            defaults = replace(defaults, runtime_minutes=None)
        if not unknown <= {"runtime"}:
            defaults = replace(defaults, mem_mb_per_cpu=1)
        name, members = job.name, []
        if job.is_group():
            name, members = str(job.groupid), sorted({member.rule.name for member in members_of(job)})
        request, notices = build_request(name, known, known["_cores"], defaults, members=members)
        encode_request(request, self._launcher, self._encoding)
        return notices
