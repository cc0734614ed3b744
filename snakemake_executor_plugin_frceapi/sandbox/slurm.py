"""Hands jobs to a real Slurm, as the user of this process, and remembers how they ended.

A part for tests: it lets the API be tried in front of real parts. It trusts that what it runs, ``sbatch``, ``squeue``
and ``sinfo``, are those of the one cluster that is meant.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from snakemake_executor_plugin_frceapi.sandbox.backend import BackendError
from snakemake_executor_plugin_frceapi.sandbox.environment import User
from snakemake_executor_plugin_frceapi.sandbox.partitions import Partition
from snakemake_executor_plugin_frceapi.sandbox.rules import SUBMISSION_FAILED, Refused, Submission

_LOOK_SECONDS = 1.0
"""Below any ``MinJobAge`` that a test may set, so that no end is missed; 300 s is Slurm's default."""

_COMMAND_SECONDS = 60.0

_FORMAT = "%A|%P|%V|%S|%e|%T"
"""Id, partition, and times of submission, start and end, and state; squeue(1), ``--format``."""

_FINAL = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmJob:
    """A job as squeue(1) shows it.

    Attributes:
        job_id: its number.
        partition: its partition.
        submitted_at: in seconds since the epoch, like all times here.
        started_at: start of the last run; None: it waits.
        ended_at: its end; None: it has not ended.
        time_limit_s: from its start to the end that Slurm expects, in seconds; None: no limit.
        state: Slurm's word.
        shown_state: always None: nobody changes the word.
    """

    job_id: int
    partition: Partition
    submitted_at: float
    started_at: float | None
    ended_at: float | None
    time_limit_s: int | None
    state: str
    shown_state: None = None


class SlurmBackend:
    """A real cluster in place of the pretend one.

    squeue(1) forgets a job ``MinJobAge`` after its end, so what it says is kept here.
    """

    def __init__(self, directory: Path, user: User) -> None:
        """Make it; `start` begins to look.

        Args:
            directory: existing directory for the jobs' output and as their working directory, on every node.
            user: the owner of all jobs.

        Raises:
            BackendError: there is no Slurm here, or it does not answer.
        """
        self.partitions = {name: Partition(name=name) for name in _run(["sinfo", "-h", "-o", "%R"]).split()}
        self._directory = directory
        self._user = user
        self._jobs: dict[int, SlurmJob] = {}
        self._looks = self._noted = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_often, name="sandbox-slurm", daemon=True)

    def start(self) -> None:
        """Begin to look at the cluster's jobs."""
        self._thread.start()

    def stop(self) -> None:
        """Look no longer. The jobs are Slurm's and go on."""
        self._stopped.set()
        self._thread.join()

    def submit(self, submission: Submission) -> SlurmJob:
        """Hand a job to sbatch(1).

        Raises:
            Refused: sbatch refuses it.
        """
        command = sbatch_command(submission, self._user.job_name, self._directory)
        try:
            job_id = int(_run(command, submission.script, _environment(self._user)).partition(";")[0])
        except BackendError as error:
            raise Refused(SUBMISSION_FAILED, str(error)) from error
        with self._lock:
            return self._jobs.setdefault(job_id, _new_job(job_id, submission.partition))

    def jobs(self) -> dict[int, SlurmJob]:
        """All jobs of the user that were seen since the start, by id.

        Raises:
            BackendError: Slurm does not answer.
        """
        self._look()
        with self._lock:
            return dict(self._jobs)

    def _look(self) -> None:
        """Note what squeue(1) shows, unless a look that began later has been noted: looks can overtake one another."""
        with self._lock:
            self._looks = number = self._looks + 1
        listed = _run(["squeue", "-h", "--states=all", f"--user={self._user.name}", f"--format={_FORMAT}"])
        with self._lock:
            if number > self._noted:
                self._noted = number
                self._jobs.update((job.job_id, job) for job in parse_squeue(listed.splitlines()))

    def _look_often(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            with contextlib.suppress(BackendError):
                self._look()


def sbatch_command(submission: Submission, job_name: str, directory: Path) -> list[str]:
    """The sbatch(1) command for a submission, whose script comes by standard input. Pure.

    Args:
        submission: what is asked for.
        job_name: name of the job.
        directory: working directory of the job, where its output goes, too.
    """
    options = {
        "job-name": job_name,
        "partition": submission.partition,
        "ntasks": submission.ntasks,
        "ntasks-per-core": submission.ntasks_per_core,
        "ntasks-per-node": submission.ntasks_per_node,
        "cpus-per-task": submission.cpus_per_task,
        "mem-per-cpu": _megabytes(submission.mem_mb_per_cpu),
        "mem": _megabytes(submission.mem_mb_per_node),
        "dependency": submission.dependency,
        "time": _time_limit(submission.time_limit_s),
        "chdir": directory,
        "output": directory / "slurm-%j.out",
    }
    return ["sbatch", "--parsable", *(f"--{name}={value}" for name, value in options.items() if value is not None)]


def parse_squeue(lines: Iterable[str]) -> list[SlurmJob]:
    """The jobs in the output of squeue(1), whose times are local and without a zone. Pure."""
    return [_job(line.split("|")) for line in lines if line]


def _new_job(job_id: int, partition: str) -> SlurmJob:
    """A job that sbatch has just accepted, until squeue shows it."""
    return SlurmJob(
        job_id=job_id,
        partition=Partition(name=partition),
        submitted_at=time.time(),
        started_at=None,
        ended_at=None,
        time_limit_s=None,
        state="PENDING",
    )


def _job(fields: Sequence[str]) -> SlurmJob:
    job_id, partition, submitted, start, end, state = fields
    started_at = None if state == "PENDING" else _moment(start)
    end_at = _moment(end)
    is_final = state in _FINAL
    limit = None if is_final or started_at is None or end_at is None else int(end_at - started_at)
    return SlurmJob(
        job_id=int(job_id),
        partition=Partition(name=partition),
        submitted_at=_moment(submitted) or 0.0,
        started_at=started_at,
        ended_at=end_at if is_final else None,
        time_limit_s=limit,
        state=state,
    )


def _moment(text: str) -> float | None:
    """Seconds since the epoch of a local time; None for ``N/A`` and the like."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _megabytes(size: int | None) -> str | None:
    return None if size is None else f"{size}M"


def _time_limit(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours // 24}-{hours % 24:02}:{minutes:02}:{seconds:02}"


def _environment(user: User) -> dict[str, str]:
    """The environment that sbatch hands on to the job: a user's bare minimum.

    ``sbatch --export=NONE`` would run a login shell and give the job what that sets.
    """
    configuration = {name: value for name, value in os.environ.items() if name == "SLURM_CONF"}
    identity = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name, "SHELL": user.shell}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **identity, **configuration}


def _run(command: Sequence[str], text: str = "", environment: dict[str, str] | None = None) -> str:
    """Run a program of Slurm and return its output; raises BackendError."""
    try:
        done = subprocess.run(
            [shutil.which(command[0]) or command[0], *command[1:]],
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"cannot run {command[0]}: {error}") from error
    if done.returncode != 0:
        raise BackendError(f"{command[0]} ended with exit code {done.returncode}: {' '.join(done.stderr.split())}")
    return done.stdout
