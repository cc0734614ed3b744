"""Runs one after another, or two at a time, between a cluster and a Snakemake that outlive them.

Of the plugin everything is real but threads, sockets and the clock.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.admission import Admission
from snakemake_executor_plugin_frceapi.cancel import Canceller
from snakemake_executor_plugin_frceapi.job import Accepted, JobState, JobStatus, Listing, SubmitOutcome, Unknown, Work
from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.journal import Event
from snakemake_executor_plugin_frceapi.preparation import Preparation, ReadyJob
from snakemake_executor_plugin_frceapi.recovery import take_over
from snakemake_executor_plugin_frceapi.resources import RequestDefaults
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.threads import Loop, Threads
from snakemake_executor_plugin_frceapi.wire import Encoding
from tests.carrying import Carrying
from tests.faults.dying import Died, Fuse, mortal, release_files
from tests.submissions import a_policy

TICK_SECONDS = 15.0
MOST_TICKS = 60
FIRST_JOBID = 70_000_001
"""Larger than any of Slurm's, so that no job is submitted that would cancel others."""

LOST = Unknown("no answer came")
_TOKEN = re.compile(rb"jobs/([0-9a-f]{16})")
_TWIN, _NO_DIRECTORY = 75, 66
_POLICY = a_policy(
    connections=2,
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What the world does with a run.

    Attributes:
        jobs_run: whether jobs go on while the run lives.
        jobs_run_alone: whether they go on to their end when it has died.
        arrives: whether the first post of a submission arrives.
        outcome: what becomes of it, None: the API takes it.
        outcome_again: what becomes of each later one, likewise.
        exit_code: of the commands of the jobs that arrive.
        signature: of what the jobs are made from.
    """

    jobs_run: bool = True
    jobs_run_alone: bool = True
    arrives: bool = True
    outcome: SubmitOutcome | None = None
    outcome_again: SubmitOutcome | None = None
    exit_code: int = 0
    signature: str = "5eed"


WELL = Scenario()


@dataclass
class ClusterJob:
    """One job of the cluster; `exit_code` is that of its command, then its own."""

    jobid: str
    token: str
    exit_code: int
    state: JobState = JobState.PENDING


@dataclass
class Cluster:
    """Takes bodies and runs what they hand over to, as the run script does: claim, start, command, end.

    Attributes:
        spool: the run directory.
        youngest_first: whether of two jobs that wait the one begins first that came last.
        jobs: all of them.
        ledger: token, product and exit code of each command that was run.
    """

    spool: Spool
    youngest_first: bool = False
    jobs: list[ClusterJob] = field(default_factory=list)
    ledger: list[tuple[str, str, int]] = field(default_factory=list)

    def take(self, token: str, exit_code: int) -> str:
        """Take a job, and return its number."""
        self.jobs.append(ClusterJob(str(FIRST_JOBID + len(self.jobs)), token, exit_code))
        return self.jobs[-1].jobid

    def listing(self) -> Listing:
        """List all jobs."""
        return Listing({job.jobid: JobStatus(job.jobid, job.state, job.state.value) for job in self.jobs})

    def go_on(self) -> None:
        """Let running jobs end and waiting jobs begin."""
        for job in reversed(self.jobs) if self.youngest_first else self.jobs:
            if job.state is JobState.RUNNING:
                self._run(job)
            elif job.state is JobState.PENDING:
                self._begin(job)

    def drain(self) -> None:
        """Go on until nothing waits or runs."""
        while any(not job.state.is_final for job in self.jobs):
            self.go_on()

    def _begin(self, job: ClusterJob) -> None:
        directory = self.spool.job_directory(job.token)
        if not (directory / "control").exists():
            self._leave(job, _NO_DIRECTORY)
            return
        try:
            with (directory / "claim").open("x") as claim:
                claim.write(f"{job.jobid}\n")
        except FileExistsError:
            self._leave(job, _TWIN)
            return
        (directory / "started").write_text(f"id={job.jobid} restart=0 node=n1 cluster=frce\n")
        job.state = JobState.RUNNING

    def _run(self, job: ClusterJob) -> None:
        if self.spool.is_cancel_ordered(job.token):
            self._end(job, "cancelled", 143)
            return
        (jobscript,) = self.spool.job_directory(job.token).glob("job-*")
        product = jobscript.read_text().split()[-1]
        self.ledger.append((job.token, product, job.exit_code))
        if job.exit_code == 0:
            Path(product).touch()
        self._end(job, "own", job.exit_code)

    def _end(self, job: ClusterJob, cause: str, exit_code: int) -> None:
        text = f"id={job.jobid} restart=0 exit={exit_code} cause={cause} start=1 end=2 cpu_ticks=1\n"
        (self.spool.job_directory(job.token) / f"end.{job.jobid}.0").write_text(text)
        self.spool.done_entry(job.token).write_text(text)
        self._leave(job, exit_code)

    @staticmethod
    def _leave(job: ClusterJob, exit_code: int) -> None:
        job.exit_code = exit_code
        job.state = JobState.FAILED if exit_code else JobState.COMPLETED


@dataclass
class World:
    """What outlives a run: files, jobs, and what Snakemake has recorded.

    Attributes:
        top: directory for everything that is written.
        names: the workflow's jobs.
        now: the time by every run's clock.
        recorded: names of the jobs that Snakemake has recorded.
        failed: names and messages of the jobs that were reported as failed.
        posts: the token of each post, in order.
        sure: tokens whose acceptance stands in a journal.
        said: lines for the user.
    """

    top: Path
    names: tuple[str, ...] = ("a", "b")
    now: float = 1_000_000.0
    recorded: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    posts: list[str] = field(default_factory=list)
    sure: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spool = Spool(self.top / "spool")
        self.cluster = Cluster(self.spool)

    def product(self, name: str) -> str:
        """Return the output of a job."""
        return str(self.top / name)

    def live(self, scenario: Scenario = WELL, fuse: Fuse | None = None) -> bool:
        """Let a run begin, and return whether it ended in order.

        Args:
            scenario: what the world does with it.
            fuse: where it dies.
        """
        fuse = fuse or Fuse()
        with mortal(fuse, self.note_line):
            try:
                Life(self, scenario, fuse).to_the_end()
            except Died:
                release_files(self.spool.directory)
                if scenario.jobs_run_alone:
                    self.cluster.drain()
                return False
        return True

    def note_line(self, line: dict[str, Any]) -> None:
        """Note a line of a journal."""
        if line["event"] == Event.ACCEPTED:
            self.sure.add(line["token"])

    def assert_each_once(self) -> None:
        """See that each command ended well once, that Snakemake knows of it, and that nothing is left.

        Raises:
            AssertionError: it is not so.
        """
        self.cluster.drain()
        tokens = Counter(token for token, *_ in self.cluster.ledger)
        assert max(tokens.values()) == 1, "a submission was run twice"
        good = Counter(product for _, product, exit_code in self.cluster.ledger if exit_code == 0)
        assert good == Counter(map(self.product, self.names))
        assert sorted(self.recorded) == sorted(self.names)
        assert not self.spool.has_jobs()
        self.spool.remove_shared()  # as a run does that ends
        left = {path.name for path in self.spool.directory.rglob("*") if not path.name.startswith(".journal-")}
        assert left == {"jobs", "done", "shared"}


class Unneeded(Canceller):
    """Helps no order along: the jobs of `Cluster` obey those that stand in their run directories."""

    def order(self, *_: object) -> threading.Thread:
        """Start no thread."""
        return threading.Thread()


class Life(Carrying):
    """One run, as the executor makes it, and the part of Snakemake that dies with it.

    Args:
        world: what outlives it.
        scenario: what the world does with it.
        fuse: where it dies.
        names: which of the workflow's jobs it is to run.
        records: whether Snakemake records what has ended well.
    """

    def __init__(
        self,
        world: World,
        scenario: Scenario = WELL,
        fuse: Fuse | None = None,
        names: Collection[str] = (),
        *,
        records: bool = True,
    ) -> None:
        self._world = world
        self._scenario = scenario
        self._fuse = fuse or Fuse()
        self._names = set(names or world.names)
        self._records = records
        self._loops: list[Loop] = []
        self._ended: list[Submission] = []
        self._failed: set[str] = set()
        self._journal, self.legacy = take_over(world.spool)
        threads = Threads(clock=lambda: world.now, start=lambda loop, _: self._loops.append(loop))
        self.run = Run(self, world.spool, self._journal, _POLICY, self, threads)
        self._take_stock()
        self._hand_over()

    def to_the_end(self) -> None:
        """Look until Snakemake knows what became of every job, then end in order."""
        for _ in range(MOST_TICKS):
            if self._names <= {*self._world.recorded, *self._failed}:
                break
            self.tick()
        self.end()

    def end(self) -> None:
        """End in order."""
        self.run.stop(0.0)
        self.run.close()
        self.put_down()
        self._fuse.step("before the journal is closed")
        self._journal.close()

    def tick(self) -> None:
        """Let some time pass, and look."""
        self._world.now += TICK_SECONDS
        for _ in range(5):
            for loop in list(self._loops):
                loop.step()
        if self._scenario.jobs_run:
            self._world.cluster.go_on()
        self.run.look()
        if self._records:
            self._record()

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Stand for the API."""
        self._fuse.step("before a post")
        found = _TOKEN.search(body)
        assert found is not None
        token = found[1].decode()
        assert token not in self._world.sure, "what was surely accepted is posted again"
        is_first = token not in self._world.posts
        self._world.posts.append(token)
        outcome = self._scenario.outcome if is_first else self._scenario.outcome_again
        if outcome is not None and not (is_first and self._scenario.arrives):
            return outcome
        jobid = self._world.cluster.take(token, self._scenario.exit_code)
        self._fuse.step("after a post")
        return outcome or Accepted(jobid)

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:  # noqa: ARG002 - it lists all jobs
        """Stand for the API."""
        return self._world.cluster.listing()

    def submitted(self, submission: Submission) -> None:
        """Stand for Snakemake, which makes no use of it."""

    def succeeded(self, submission: Submission) -> None:
        """Stand for Snakemake, which records it later, in another thread."""
        self._fuse.step("reported")
        self._ended.append(submission)

    def failed(self, submission: Submission, message: str) -> None:
        """Stand for Snakemake."""
        self._failed.add(submission.job_info)
        self._world.failed[submission.job_info] = message

    def say(self, line: str) -> None:
        """Note a line."""
        self._world.said.append(line)

    warn = say

    def _take_stock(self) -> None:
        """Note what Snakemake has recorded, as the executor does."""
        self.legacy.note_listing(self.query_status())
        for entry in self.legacy.entries:
            if entry.products <= {self._world.product(name) for name in self._world.recorded}:
                self.legacy.remove(entry)
                self.run.note_settled(entry.token)
                self._world.spool.discard(entry.token)

    def _hand_over(self) -> None:
        top, spool = self._world.top, self._world.spool
        script = RunSettings(directory=Path(), done=Path(), log_directory=Path(), workdir=top, command=())
        defaults = RequestDefaults("norm", 4000, None)
        preparation = Preparation(spool, defaults, Encoding(), top / "logs", script, self.run.hold, top)
        canceller = Unneeded(self, spool, lambda *_: b"", 0.0)
        admission = Admission(self.legacy, preparation, self.run, canceller, lambda _: None, self.say)
        for name in sorted(self._names - set(self._world.recorded)):
            work = Work("map", (self._world.product(name),), self._scenario.signature)
            submission, _ = preparation.prepare(_ready(name, work), name)
            admission.admit(submission)

    def _record(self) -> None:
        ended, self._ended = self._ended, []
        for submission in ended:
            self._world.recorded.append(submission.job_info)
            self._fuse.step("recorded")
            self.run.note_settled(submission.token)


def _ready(name: str, work: Work) -> ReadyJob:
    return ReadyJob(
        name="map",
        is_group=False,
        works=(work,),
        wildcards={},
        attempt=1,
        resources={"runtime": 60},
        threads=1,
        jobname=f"job.{name}",
        command="true",
        jobscript=f"#!/bin/bash\ntouch {work.products[0]}\n",
    )
