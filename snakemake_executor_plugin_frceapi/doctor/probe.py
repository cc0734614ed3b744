"""One tiny job that tells how the service reads a request, and what jobs find on a node."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from snakemake_executor_plugin_frceapi.doctor.step import Finding, Outcome
from snakemake_executor_plugin_frceapi.errors import ServiceError, SettingsError
from snakemake_executor_plugin_frceapi.granted import comparison, differences
from snakemake_executor_plugin_frceapi.job import (
    Accepted,
    JobRequest,
    JobState,
    JobStatus,
    NotSent,
    Refused,
    SubmitOutcome,
)
from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.journal import journals
from snakemake_executor_plugin_frceapi.markers import Start
from snakemake_executor_plugin_frceapi.ports import Service
from snakemake_executor_plugin_frceapi.spool import Spool, new_token
from snakemake_executor_plugin_frceapi.wire import Encoding, NumberFormat, encode_request

T = TypeVar("T")

_NAME = "probe.sh"
_LEAST_LATENCY_WAIT = 5
_PAUSE_SECONDS = 0.2
_ASK_SECONDS = 5.0
_VISIBLE_SECONDS = 90.0
"""For how long a new name can be invisible: nfs(5), ``acdirmax``, and a reserve."""
_WORK_SECONDS = 120.0
"""How long the job may take from its start to its end, and for that to be seen here."""


class Probe:
    """Submits one job and watches it.

    Args:
        service: the API.
        spool: the run directory.
        partition: where the job is to run.
        encoding: how its request is written.
        environment: of this process.
        wait_seconds: how long to wait for its start.
    """

    def __init__(
        self,
        service: Service,
        spool: Spool,
        partition: str,
        encoding: Encoding,
        environment: Mapping[str, str],
        wait_seconds: float,
    ) -> None:
        self._service = service
        self._spool = spool
        self._encoding = encoding
        self._environment = environment
        self._wait_seconds = wait_seconds
        self._token = new_token()
        self._asked_at = -math.inf
        self._status: JobStatus | None = None
        self._different: dict[str, str] = {}
        self._visible_after = 0.0
        self._found: dict[str, str] = {}
        self._request = JobRequest(
            partition=partition,
            ntasks=1,
            ntasks_per_core=1,
            ntasks_per_node=1,
            cpus_per_task=2,
            mem_mb_per_node=500,
            time_limit_minutes=5,
        )

    def findings(self) -> Iterator[Finding]:
        """Yield what was found, as soon as it is known; the job and its run directory are gone at the end."""
        try:
            try:
                self._write()
            except OSError as error:
                raise SettingsError(
                    f"{self._directory} cannot be written ({error.strerror}); go to a directory with free space"
                ) from None
            body = encode_request(self._request, self._spool.launcher(self._token), self._encoding)
            outcome = self._service.submit_job(body)
            yield self._submitted(outcome)
            if isinstance(outcome, Accepted):
                yield from self._watched(outcome.external_jobid)
        finally:
            self._spool.order_cancel(self._token)
            self._spool.erase(self._token)
            if not (self._spool.has_jobs() or journals(self._spool.directory)):
                self._spool.remove_shared()

    def profile(self) -> list[str]:
        """Return the lines for a profile that follow, after `findings`; none where the job told nothing."""
        if not self._found:
            return []
        return profile_lines(
            self._encoding, self._found, self._environment, self._visible_after, honoured=not self._different
        )

    @property
    def _directory(self) -> Path:
        return self._spool.job_directory(self._token)

    def _write(self) -> None:
        values = {"probe_python": sys.executable, "probe_report": str(self._directory / "report")}
        lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
        text = "\n".join(["#!/bin/bash", *lines, files(__package__).joinpath(_NAME).read_text("utf-8")])
        settings = RunSettings(
            directory=self._directory,
            done=self._spool.done_entry(self._token),
            log_directory=self._directory,
            workdir=Path.cwd(),
            command=self._spool.jobscript_command(self._token, text, _NAME),
            name="frceapi-doctor",
            ask_limit=True,
        )
        self._spool.run_directory(self._token, _NAME, text, settings.render()).write()

    def _submitted(self, outcome: SubmitOutcome) -> Finding:
        match outcome:
            case Accepted():
                return Finding("probe", Outcome.OK, f"submitted as job {outcome.external_jobid}")
            case Refused():
                return Finding("probe", Outcome.FAILED, outcome.message + self._hint(outcome.code))
            case NotSent():
                return Finding("probe", Outcome.FAILED, str(outcome.fault))
        return Finding("probe", Outcome.FAILED, f"{outcome.message}; look at `frceapi jobs`")

    def _hint(self, code: str) -> str:
        """What else a refusal can mean: a service may take numbers in one form only."""
        if "partition" in code:
            return ""
        other = next(form.value for form in NumberFormat if form is not self._encoding.number_format)
        return f"; or numbers are read in another form: try --frceapi-number-format {other}"

    def _watched(self, jobid: str) -> Iterator[Finding]:
        begin = time.monotonic()
        start = self._await(lambda: self._spool.start(self._token), jobid, self._wait_seconds)
        waited = round(time.monotonic() - begin, 1)
        if start is None:
            yield Finding("start", Outcome.FAILED, self._why_not_started(jobid), seconds=waited)
            return
        facts = {"node": start.node, "cluster": start.cluster, "partition": start.given.get("partition", "")}
        text = f"began on {start.node} after {waited:g} s; the run directory is seen there"
        yield Finding("start", Outcome.OK, text, facts, waited)
        yield from self._requests(start)
        end = self._await(lambda: self._spool.latest_end(self._token), jobid, _WORK_SECONDS)
        self._visible_after = max(0.0, time.time() - end.end) if end else 0.0
        self._found = self._report() if end else {}
        if end is None or not self._found:
            text = f"the job told nothing (state {self._state()}); look at its node, {start.node}"
            yield Finding("marker", Outcome.FAILED, text)
            return
        text = f"its end was visible here {self._visible_after:.1f} s after it, by the clocks of both machines"
        yield Finding("marker", Outcome.OK, text, {"seconds": round(self._visible_after, 1)})
        yield from self._surroundings()

    def _await(self, look: Callable[[], T | None], jobid: str, seconds: float) -> T | None:
        """Look until there is something, the job is listed as ended, or the time is up."""
        until = time.monotonic() + seconds
        ended = False
        while (seen := look()) is None and not ended and time.monotonic() < until:
            ended = self._has_ended(jobid)
            time.sleep(_PAUSE_SECONDS)
        return seen if seen is not None else self._late(look)

    def _late(self, look: Callable[[], T | None]) -> T | None:
        """Look a few times more: what a job has written can become visible after its end is listed."""
        until = time.monotonic() + _VISIBLE_SECONDS
        while (seen := look()) is None and self._has_begun and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
        return seen

    @property
    def _has_begun(self) -> bool:
        return self._spool.claimed_by(self._token) is not None

    def _has_ended(self, jobid: str) -> bool:
        """Whether the listing shows the job as ended; it is asked for now and then."""
        if time.monotonic() - self._asked_at >= _ASK_SECONDS:
            self._asked_at = time.monotonic()
            with suppress(ServiceError):
                self._status = self._service.query_status([jobid]).jobs.get(jobid, self._status)
        return self._status is not None and self._status.state.is_final

    def _state(self) -> str:
        return self._status.state_word if self._status else "not listed"

    def _why_not_started(self, jobid: str) -> str:
        if self._status is not None and self._status.state in (JobState.FAILED, JobState.COMPLETED):
            return (
                f"job {jobid} has ended ({self._state()}) without a trace in {Path.cwd()}: the nodes do not see this "
                "directory; go to one on shared storage"
            )
        if self._status is not None and self._status.state.is_final:
            return f"job {jobid} has ended ({self._state()}) before it did anything; try again, or another -p PARTITION"
        return (
            f"job {jobid} has not begun after {self._wait_seconds:g} s ({self._state()}), and ends as soon as it does; "
            "wait longer with --wait, or name another partition with -p"
        )

    def _requests(self, start: Start) -> Iterator[Finding]:
        """Yield how each key of the request was read."""
        self._different = dict(differences(self._request, start.given))
        for key, asked, given in comparison(self._request, start.given):
            facts = {"asked": asked, "given": given}
            if key in self._different:
                yield Finding(key, Outcome.FAILED, self._different[key], facts)
            else:
                known = f"given {given}" if given else "what was given is not known"
                yield Finding(key, Outcome.OK, f"asked {asked}, {known}", facts)

    def _report(self) -> dict[str, str]:
        try:
            text = (self._directory / "report").read_text("utf-8", "replace")
        except OSError:
            return {}
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def _surroundings(self) -> Iterator[Finding]:
        found, where = self._found, "on its node"
        python = found["python"]
        remedy = "put this environment on shared storage, or name another with --frceapi-job-setup"
        yield _seen("python", f"{sys.executable} is Python {python} {where}" if python else "", sys.executable, remedy)
        snakemake = found["snakemake"]
        remedy = f"install Snakemake in the environment of {sys.executable}"
        yield _seen("snakemake", f"version {snakemake} {where}" if snakemake else "", "Snakemake", remedy)
        nowhere = "not there: what needs it (envmodules, module load) fails"
        module = found["module"] or (
            "only in a login shell: see the profile below" if found["login_module"] else nowhere
        )
        yield Finding("module", Outcome.OK if found["module"] else Outcome.NOTE, module)
        scancel = found["scancel"]
        missing = "not there: jobs that wait are cancelled only as they begin"
        yield Finding("scancel", Outcome.OK if scancel else Outcome.NOTE, scancel or missing)
        names = found["variables"].split()
        others = [name for name in names if not name.startswith("SLURM")]
        text = f"a job starts with {len(names) - len(others)} variables of Slurm, and {', '.join(others) or 'no other'}"
        yield Finding("environment", Outcome.OK, text, {"names": names})


def profile_lines(
    encoding: Encoding,
    found: Mapping[str, str],
    environment: Mapping[str, str],
    visible_after_seconds: float,
    *,
    honoured: bool,
) -> list[str]:
    """Return the lines for a profile that follow from what a job found.

    Args:
        encoding: how its request was written.
        found: what it reported.
        environment: of the process that will submit jobs, which they get.
        visible_after_seconds: how long its end took to be visible.
        honoured: whether each key was given as it was asked.
    """
    mark = "" if honoured else "# not honoured, try another value: "
    lines = [f"{mark}frceapi-number-format: {encoding.number_format.value}"]
    if encoding.memory_unit:
        lines.append(f"{mark}frceapi-memory-unit: {encoding.memory_unit}")
    if found["login_module"] and not found["module"] and "BASH_FUNC_module%%" not in environment:
        lines.append("frceapi-job-setup: source /etc/profile")
    return [*lines, f"latency-wait: {max(_LEAST_LATENCY_WAIT, math.ceil(2 * visible_after_seconds))}"]


def _seen(step: str, text: str, what: str, remedy: str) -> Finding:
    return Finding(step, Outcome.OK, text) if text else Finding(step, Outcome.FAILED, f"{what} does not run; {remedy}")
