"""A Slurm: takes jobs, runs their scripts step by step, ends and requeues them, and lists them, not always truly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, unique

from tests.model.ledger import Ledger
from tests.model.script import Event, Exit, Go, Place, Script, Term, run_script
from tests.model.share import Share

FIRST_JOBID = 101


@unique
class Blow(Enum):
    """What befalls a job: the state it gets, and whether Slurm asks first (SIGTERM) or kills at once."""

    TIMEOUT = ("TIMEOUT", True)
    SCANCEL = ("CANCELLED by 1000", True)
    OUT_OF_MEMORY = ("OUT_OF_MEMORY", False)
    NODE_FAIL = ("NODE_FAIL", False)
    PREEMPTED = ("PREEMPTED", True)
    REQUEUE = ("PENDING", True)
    HARD_REQUEUE = ("REQUEUED", False)

    def __init__(self, state: str, asks: bool) -> None:  # noqa: FBT001 - an enumeration passes its values by position
        self.state = state
        self.asks = asks


@dataclass(slots=True)
class Job:
    """A job of the cluster.

    Attributes:
        jobid: its number.
        token: the submission that it runs.
        limit_seconds: its time limit.
        taken: when it was submitted.
        started: when it first started.
        state: as Slurm writes it.
        restart: how often it was requeued.
        script: its script while it runs.
        since: when it got into this state.
        shown: another state that listings show until `shown_until`; empty where they do not list it.
        shown_until: when listings tell the truth again.
    """

    jobid: str
    token: str
    limit_seconds: float | None
    taken: float
    started: float | None = None
    state: str = "PENDING"
    restart: int = 0
    script: Script | None = None
    since: float = field(init=False)
    shown: str = ""
    shown_until: float = 0.0

    def __post_init__(self) -> None:
        self.since = self.taken

    @property
    def is_running(self) -> bool:
        """Whether its script runs."""
        return self.script is not None

    @property
    def waits(self) -> bool:
        """Whether Slurm may start it."""
        return self.state in ("PENDING", "REQUEUED")


class Cluster:
    """All jobs.

    Args:
        share: the shared file system.
        ledger: is told about each run of a job command.
        clock: returns the simulated time in seconds.
        window_seconds: how far back a listing reaches.
    """

    def __init__(self, share: Share, ledger: Ledger, clock: Callable[[], float], window_seconds: float) -> None:
        self.jobs: list[Job] = []
        self._share = share
        self._ledger = ledger
        self._clock = clock
        self._window = window_seconds

    def take(self, token: str, limit_seconds: float | None) -> str:
        """Accept a job and return its number."""
        job = Job(str(FIRST_JOBID + len(self.jobs)), token, limit_seconds, self._clock())
        self.jobs.append(job)
        return job.jobid

    def start(self, job: Job) -> None:
        """Start a job that waits."""
        place = Place(self._share, self._ledger, job.token, job.jobid, job.restart, self._clock)
        job.script = run_script(place)
        self._set(job, "RUNNING")
        job.started = job.since if job.started is None else job.started
        self._move(job, None)

    def step(self, job: Job, event: Event) -> None:
        """Make one step of a running job; no job command can end before it has begun."""
        self._move(job, Go() if isinstance(event, Exit) and not self.runs_command(job) else event)

    def _move(self, job: Job, event: Event | None) -> None:
        assert job.script is not None
        try:
            if event is None:
                next(job.script)
            else:
                job.script.send(event)
        except StopIteration as end:
            job.script = None
            self._set(job, "COMPLETED" if end.value == 0 else "FAILED")

    def runs_command(self, job: Job) -> bool:
        """Whether the job command of a job runs now."""
        return self._ledger.accounts[job.token].running == (job.jobid, job.restart)

    def work(self, job: Job, code: int) -> None:
        """Let a job run from wherever it is to its end."""
        if job.waits:
            self.start(job)
        while job.is_running:
            self.step(job, Exit(code))

    def begin(self, job: Job) -> None:
        """Let a job run until its job command does, or until it has ended."""
        if job.waits:
            self.start(job)
        while job.is_running and not self.runs_command(job):
            self.step(job, Go())

    def record(self, job: Job, code: int) -> None:
        """Let a job command that runs end by itself, and the job go on until that is on record and not yet shown."""
        if job.is_running:
            self.step(job, Exit(code))
        if job.is_running:
            self.step(job, Go())

    def strike(self, job: Job, blow: Blow) -> None:
        """End or requeue a job that waits or runs."""
        if job.is_running and blow.asks:
            self.step(job, Term())
            while job.is_running:
                self.step(job, Go())
        if job.script is not None:
            job.script.close()
            job.script = None
        self._set(job, blow.state)
        job.restart += job.waits

    def bring_back(self, job: Job) -> None:
        """Requeue a job that has ended."""
        self._set(job, "PENDING")
        job.restart += 1

    def pass_time(self) -> None:
        """Let running jobs look at their orders, and end those that are over their time limit."""
        for job in self.jobs:
            if job.is_running and job.limit_seconds and self._clock() - job.since > job.limit_seconds:
                self.strike(job, Blow.TIMEOUT)
            elif job.is_running and self.runs_command(job):
                self.step(job, Go())

    def rows(self) -> dict[str, str]:
        """Return what a listing shows: the state of each job of the window, true or not."""
        shown = {job.jobid: self._shown(job) for job in self.jobs}
        return {jobid: state for jobid, state in shown.items() if state}

    def _shown(self, job: Job) -> str:
        is_listed = job.waits or job.is_running or self._clock() - job.since <= self._window
        return job.shown if self._clock() < job.shown_until else job.state if is_listed else ""

    def _set(self, job: Job, state: str) -> None:
        job.state, job.since = state, self._clock()
