"""A run without threads: a test makes each step itself, by a clock of its own, so that days pass in a second."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_executor_plugin_frceapi.errors import ServiceError
from snakemake_executor_plugin_frceapi.job import Accepted, JobRequest, JobState, JobStatus, Listing, SubmitOutcome
from snakemake_executor_plugin_frceapi.journal import Journal
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.threads import Loop, Threads
from snakemake_executor_plugin_frceapi.tracker import Graces
from snakemake_executor_plugin_frceapi.unshared import UnsharedSpool
from tests.carrying import Carrying
from tests.run_directories import a_run_directory, order_in
from tests.submissions import a_policy, a_submission

INTERVAL_SECONDS = 10.0
MARKER_SECONDS = 90.0
REQUEUE_SECONDS = 600.0
BEGIN = 1_000_000.0


class Service(Carrying):
    """The API as a test wants it to be.

    Attributes:
        answer: what becomes of a submission, None: it is accepted.
        fault: what becomes of a status request, None: it is answered.
        listed: the jobs in the listing by external jobid.
        posted: what was posted, and when.
        asked: when the status was asked for.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.answer: SubmitOutcome | None = None
        self.fault: ServiceError | None = None
        self.listed: dict[str, JobStatus] = {}
        self.posted: list[tuple[float, bytes]] = []
        self.asked: list[float] = []

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Accept a job, or do what the test wants; the external jobid is the number of the post."""
        self.posted.append((self._clock(), body))
        return self.answer or Accepted(str(len(self.posted)))

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:  # noqa: ARG002 - it lists all jobs
        """Answer with the listing, or not at all."""
        self.asked.append(self._clock())
        if self.fault is not None:
            raise self.fault
        return Listing(dict(self.listed), max(map(int, self.listed), default=0))

    def lists(self, state: JobState, *external_jobids: str | None) -> None:
        """List jobs in a state from now on."""
        for jobid in filter(None, external_jobids):
            self.listed[jobid] = JobStatus(jobid, state, state.value)


@dataclass
class SteppedRun:
    """A run and everything around it.

    Attributes:
        top: directory for everything that is written.
        outage_hours: as ``--frceapi-outage-tolerance``.
        shared: whether jobs see the run directory.
        now: the time by the run's clock.
        events: what was reported, in order: the kind and the token.
        messages: the messages of failures by token.
        said: lines for the user.
    """

    top: Path
    outage_hours: float = 1e6
    shared: bool = True
    now: float = BEGIN
    events: list[tuple[str, str]] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loops: list[Loop] = []
        self.service = Service(lambda: self.now)
        self.spool = (Spool if self.shared else UnsharedSpool)(self.top / "spool")
        self.journal = Journal(self.spool.directory)
        policy = a_policy(
            graces=Graces(marker=MARKER_SECONDS, requeue=REQUEUE_SECONDS, kill_wait=264.0, window=86_400.0),
            interval_seconds=INTERVAL_SECONDS,
            connections=4,
            outage_seconds=self.outage_hours * 3600.0,
        )
        threads = Threads(clock=lambda: self.now, start=lambda loop, _: self.loops.append(loop))
        self.run = Run(self.service, self.spool, self.journal, policy, self, threads)

    def submitted(self, submission: Submission) -> None:
        """Note that a job was taken."""
        self.events.append(("submitted", submission.token))

    def succeeded(self, submission: Submission) -> None:
        """Note that a job has ended well, and record it as Snakemake does."""
        self.events.append(("succeeded", submission.token))
        self.run.note_settled(submission.token)

    def failed(self, submission: Submission, message: str) -> None:
        """Note that a job has failed."""
        self.events.append(("failed", submission.token))
        self.messages[submission.token] = message

    def say(self, line: str) -> None:
        """Note a line."""
        self.said.append(line)

    warn = say

    def step(self, seconds: float = 0.0) -> None:
        """Let the clock go on, and do and look at everything that is due."""
        self.now += seconds
        calls = -1
        while calls != (calls := self.calls):
            self.call()
            self.run.look()

    def call(self) -> None:
        """Let each thread do what is due, once, without a look."""
        for loop in list(self.loops):
            loop.step()

    @property
    def calls(self) -> int:
        """How many requests were made."""
        return len(self.service.posted) + len(self.service.asked)

    def steps(self, seconds: float, every: float = 1.0) -> None:
        """Make a step every so often for a while."""
        for _ in range(round(seconds / every)):
            self.step(every)

    def sleep(self, seconds: float) -> None:
        """Let the clock go on while nothing is done, as for a process that is stopped."""
        self.now += seconds

    def submission(self, token: str, *, has_directory: bool = True) -> Submission:
        """A submission that was not handed over yet, with a run directory where jobs see one."""
        return a_submission(
            token,
            request=JobRequest(partition="norm", time_limit_minutes=60),
            log_directory=self.top / "logs",
            run_directory=a_run_directory(self.spool, token) if self.shared and has_directory else None,
        )

    def submit(self, *tokens: str) -> list[Submission]:
        """Hand jobs over and make a step."""
        items = [self.submission(token) for token in tokens]
        for item in items:
            self.run.submit(item)
        self.step()
        return items

    def starts(self, item: Submission) -> None:
        """Write what a job writes when it starts."""
        directory = self.spool.job_directory(item.token)
        (directory / "claim").write_text(f"{item.external_jobid}\n")
        (directory / "started").write_text(f"id={item.external_jobid} restart=0 node=n1 cluster=frce\n")

    def ends(self, item: Submission, exit_code: int = 0, cause: str = "own") -> None:
        """Write what a job writes when it ends."""
        text = f"id={item.external_jobid} restart=0 exit={exit_code} cause={cause} start=1 end=2 cpu_ticks=1\n"
        (self.spool.job_directory(item.token) / f"end.{item.external_jobid}.0").write_text(text)
        self.spool.done_entry(item.token).write_text(text)

    def ended(self, kind: str) -> list[str]:
        """Return the tokens of the jobs that were reported so."""
        return [token for event, token in self.events if event == kind]

    def order(self, item: Submission) -> str:
        """Return the order that stands in a job's run directory."""
        return order_in(self.spool.job_directory(item.token) / "control")
