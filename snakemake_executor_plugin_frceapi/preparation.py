"""From a job that is ready to a submission: what is asked, what is sent, and what waits in the run directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from snakemake_executor_plugin_frceapi.dependency import combine, parse
from snakemake_executor_plugin_frceapi.job import JobRequest, Work
from snakemake_executor_plugin_frceapi.job_table import JobRow, job_row
from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.journal import Entry
from snakemake_executor_plugin_frceapi.logs import log_directory
from snakemake_executor_plugin_frceapi.lookahead import GATE_MINUTES, NotAhead
from snakemake_executor_plugin_frceapi.partitions.need import Need
from snakemake_executor_plugin_frceapi.resources import Notice, RequestDefaults, build_request
from snakemake_executor_plugin_frceapi.run_directory import RunDirectory
from snakemake_executor_plugin_frceapi.spool import Spool, new_token
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.wire import Encoding, encode_request

_LONGEST_NAME = 64
_KEPT_REQUESTS = 256
"""Different requests that are kept in mind: as many as rules, or more where resources follow from inputs."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+=@-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyJob:
    """What is known of a job that is ready to run.

    Attributes:
        name: name of its rule or group.
        is_group: whether it is a group job.
        works: what it makes.
        wildcards: the wildcards of a single job.
        attempt: which attempt of the job this is, from 1.
        resources: its Snakemake resources by name.
        threads: its threads.
        jobname: what `--jobname` makes of it.
        command: its job command.
        jobscript: text of its jobscript.
        awaited: those of its inputs that are still to be made when it is submitted.
    """

    name: str
    is_group: bool
    works: tuple[Work, ...]
    wildcards: Mapping[str, str]
    attempt: int
    resources: Mapping[str, object]
    threads: int
    jobname: str
    command: str
    jobscript: str
    awaited: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The rules of a group job, none of a single job."""
        return tuple(sorted({work.rule for work in self.works})) if self.is_group else ()


class Preparing(Protocol):
    """What makes submissions of ready jobs."""

    def prepare(
        self, job: ReadyJob, job_info: Any, behind: Sequence[Submission] = (), *, gated: bool = False
    ) -> tuple[Submission, tuple[Notice, ...]]:
        """Return the submission of a job, and what the user should be told about its resources."""

    def resume(self, entry: Entry, job_info: Any = None) -> Submission:
        """Return the submission of an earlier run, as that run would go on with it."""


class Preparation:
    """Makes submissions of ready jobs that have run directories.

    Args:
        spool: the run directory.
        defaults: what is asked for where a rule says nothing.
        encoding: how a job request is written.
        log_root: directory of all job logs.
        shared: what the run script needs to know of all jobs of this run.
        hold: returns the tokens of those of this run's jobs that a job depends on, and keeps their run directories;
            given their numbers, and the tokens of those that are known by number.
        heartbeat: file that shows jobs at their gates that this run lives.
    """

    def __init__(
        self,
        spool: Spool,
        defaults: RequestDefaults,
        encoding: Encoding,
        log_root: Path,
        shared: RunSettings,
        hold: Callable[[Collection[str], Mapping[str, str]], tuple[str, ...]],
        heartbeat: Path,
    ) -> None:
        self._spool = spool
        self._defaults = defaults
        self._encoding = encoding
        self._log_root = log_root
        self._row = partial(job_row, log_root / "jobs.tsv")
        self._shared = shared
        self._common = shared.common()
        self._known_request = lru_cache(_KEPT_REQUESTS, typed=True)(self._new_request)
        self._hold = hold
        self._heartbeat = heartbeat
        self._limit_asked = False

    def request(
        self, job: ReadyJob, behind: Sequence[str] = (), more_minutes: int = 0
    ) -> tuple[JobRequest, tuple[Notice, ...]]:
        """Return what is asked of the scheduler for a job, and what the user should be told about its resources.

        Args:
            job: what is known of the job.
            behind: external jobids of the jobs for which it waits.
            more_minutes: how much longer its time limit is then.

        Raises:
            JobError: the job asks for something that cannot be expressed.
            NotAhead: its partition has no time for that.
        """
        request, notices = self._request(job)
        return (self._behind(request, behind, more_minutes) if behind else request), notices

    def prepare(
        self, job: ReadyJob, job_info: Any, behind: Sequence[Submission] = (), *, gated: bool = False
    ) -> tuple[Submission, tuple[Notice, ...]]:
        """Return the submission of a job, and what the user should be told about its resources.

        Nothing is written yet: that is the first step of sending it.

        Args:
            job: what is known of the job.
            job_info: Snakemake's own record of it, None if Snakemake has not asked for it yet.
            behind: submissions of the jobs that make its inputs, where these do not exist yet: it waits for them.
            gated: whether it waits at its gate as well, until Snakemake has recorded those jobs.

        Raises:
            JobError: the job asks for something that cannot be expressed.
            NotAhead: it cannot wait for others in the queue.
        """
        tokens = {item.external_jobid: item.token for item in behind if item.external_jobid}
        request, notices = self.request(job, list(tokens), GATE_MINUTES if gated else 0)
        token, upstream = new_token(), self._upstream(request, tokens)
        logs = log_directory(self._log_root, job.name, job.is_group, job.wildcards)
        submission = Submission(
            token=token,
            job_info=job_info,
            rule=job.name,
            attempt=job.attempt,
            works=job.works,
            request=request,
            body=self._body(request, token),
            log_directory=logs,
            wildcards=job.wildcards,
            run_directory=self._run_directory(job, token, request, logs, upstream, gated=gated),
            row=self._row(job.name, job.wildcards, logs),
            upstream=upstream,
            awaited=job.awaited,
        )
        return submission, notices

    def resume(self, entry: Entry, job_info: Any = None) -> Submission:
        """Return the submission of an earlier run, as that run would go on with it.

        Args:
            entry: what the journal says of it.
            job_info: Snakemake's own record of the job that it serves now, None if it serves none.
        """
        row = self._row(entry.rule, entry.wildcards, entry.log_directory)
        return resumed(entry, job_info, self._body(entry.request, entry.token), row)

    def _run_directory(
        self, job: ReadyJob, token: str, request: JobRequest, logs: Path, upstream: Sequence[str], *, gated: bool
    ) -> RunDirectory:
        name = "job-" + _UNSAFE.sub("_", job.jobname)[-200:]
        known = replace(
            self._shared,
            directory=self._spool.job_directory(token),
            done=self._spool.done_entry(token),
            log_directory=logs,
            command=self._spool.jobscript_command(token, job.jobscript, name),
            upstream=[self._spool.job_directory(other) for other in upstream],
            heartbeat=self._heartbeat if gated else None,
            name=_name_at_slurm(job),
            ask_limit=self._is_first_with_limit(request),
        )
        return self._spool.run_directory(token, name, job.jobscript, self._common + known.own(), gated=gated)

    def _request(self, job: ReadyJob) -> tuple[JobRequest, tuple[Notice, ...]]:
        """Return what is asked for a job; most jobs of a rule ask for the same."""
        words = [word for item in job.resources.items() for word in item]
        try:
            return self._known_request(job.name, job.threads, job.members, *words)
        except TypeError:  # a value that has no hash, which no number and no text is
            return self._new_request(job.name, job.threads, job.members, *words)

    def _new_request(
        self, name: str, threads: int, members: Sequence[str], *words: Any
    ) -> tuple[JobRequest, tuple[Notice, ...]]:
        resources = dict(zip(words[::2], words[1::2], strict=True))
        return build_request(name, resources, threads, self._defaults, members)

    def _behind(self, request: JobRequest, external_jobids: Sequence[str], more_minutes: int) -> JobRequest:
        """Return a request that waits for other jobs, and has more time."""
        asked = parse(request.dependency) if request.dependency else None
        behind = request.behind(str(combine(asked, external_jobids)), more_minutes)
        if more_minutes and not self._defaults.table.takes(Need.of(behind), behind.partition):
            raise NotAhead("its partition has no time for a wait at the gate")
        return behind

    def _upstream(self, request: JobRequest, known: Mapping[str, str]) -> tuple[str, ...]:
        return self._hold(parse(request.dependency).must_succeed(), known) if request.dependency else ()

    def _body(self, request: JobRequest, token: str) -> bytes:
        return encode_request(request, self._spool.launcher(token), self._encoding)

    def _is_first_with_limit(self, request: JobRequest) -> bool:
        """Whether a job should ask Slurm for its time limit; one of a run is enough, and each would be a burden."""
        first = request.time_limit_minutes is not None and not self._limit_asked
        self._limit_asked = self._limit_asked or first
        return first


def _name_at_slurm(job: ReadyJob) -> str:
    return _UNSAFE.sub("_", ".".join([job.name, *job.wildcards.values()]))[:_LONGEST_NAME]


def resumed(entry: Entry, job_info: Any, body: bytes, row: JobRow | None = None) -> Submission:
    """Return the submission of an earlier run.

    Args:
        entry: what the journal says of it.
        job_info: Snakemake's own record of the job that it serves now, None if it serves none.
        body: the encoded request.
        row: what is listed about its job.
    """
    return Submission(
        token=entry.token,
        job_info=job_info,
        rule=entry.rule,
        attempt=entry.attempt,
        works=entry.works,
        request=entry.request,
        body=body,
        log_directory=entry.log_directory,
        wildcards=entry.wildcards,
        row=row,
        upstream=entry.upstream,
        awaited=entry.awaited,
        went_ahead=entry.went_ahead,
        inherited=True,
        posts=entry.posts,
        posts_before=entry.posts,
        external_jobid=entry.external_jobid,
    )
