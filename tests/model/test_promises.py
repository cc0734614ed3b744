"""The promises, held against whatever the network, the API, Slurm, the file system and Snakemake's end can do.

A machine makes up a story, step by step; the ledger and the evidence tell whether a promise was broken.
"""

from __future__ import annotations

from functools import cache

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.cluster import Blow, Job
from tests.model.desk import TicketClient
from tests.model.script import Exit, Go
from tests.model.service import LISTING_FATES, LISTING_FAULTS, SUBMISSION_FATES
from tests.model.world import World

ANY = st.integers(0, 7)
WORDS = st.sampled_from(["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "REQUEUED", "PENDING", "", "", ""])
FATES = st.sampled_from(["accepted"] * 6 + ["doubled", "delayed", "lost after", "refused"] + list(SUBMISSION_FATES))
GOOD = ["accepted", "listed", "ticket", "space", (0.0, False)]
LATE = [(60.0, False), (30.0, True)]
BAD = [*SUBMISSION_FATES, *LISTING_FATES, *LISTING_FAULTS, *LATE, "no ticket", "no ticket", "no space"]
CHANGES = st.sampled_from(GOOD * (len(BAD) // len(GOOD)) + BAD)
"""What can change: the fate of submissions, that of listings, what runs out or comes, how late files are seen, and
whether in part at first; as often for the better as for the worse."""
ENDS = st.sampled_from(["SIGKILL", "SIGKILL", "Ctrl-C"])
MEANWHILE = st.sampled_from(["nothing", "begin", "succeed", "fail", "edit", "remove"])
MINUTES = st.sampled_from([None, 60])
FEW_JOBS = 4


@cache
def client() -> TicketClient:
    """The client of all stories: to make one reads certificates, which takes longer than a story."""
    return TicketClient()


class Promises(RuleBasedStateMachine):
    """Steps of the submitting machine, of the cluster, and of everything between them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(client())

    def teardown(self) -> None:
        """Heal all faults: everything must come to its end, unless a promise is broken already."""
        try:
            if not self.world.ledger.broken:
                self.world.finish()
        finally:
            self.world.close()

    def submits(self, fate: str, minutes: int | None) -> None:
        """Hand a job over and send what is due."""
        self.world.submit(minutes)
        self.sends(fate)

    def jobs(self, *, live: bool) -> list[Job]:
        """The cluster's jobs that wait or run, or those that have ended, the newest first."""
        return [job for job in reversed(self.world.cluster.jobs) if (job.waits or job.is_running) is live]

    @property
    def has_live(self) -> bool:
        """Whether a job waits or runs."""
        return bool(self.jobs(live=True))

    @property
    def has_ended(self) -> bool:
        """Whether a job has ended."""
        return bool(self.jobs(live=False))

    def live(self, number: int) -> Job:
        """One of the jobs that wait or run."""
        jobs = self.jobs(live=True)
        return jobs[number % len(jobs)]

    def happens(self, what: str) -> None:
        """Let all jobs begin, end well or end badly, or let the user edit the code of the rules or remove outputs."""
        for job in self.jobs(live=True):
            if what == "begin":
                self.world.cluster.begin(job)
            elif what in ("succeed", "fail"):
                self.world.cluster.work(job, code=int(what == "fail"))
        for due in (job for job in self.world.desk.jobs if job.is_due):
            if what == "edit":
                due.version += 1
            elif what == "remove":
                due.output.unlink(missing_ok=True)

    @initialize(fate=FATES, minutes=MINUTES)
    def submits_first(self, fate: str, minutes: int | None) -> None:
        """There is a job in each story."""
        self.submits(fate, minutes)

    @precondition(lambda self: len(self.world.desk.jobs) < FEW_JOBS)
    @rule(fate=FATES, minutes=MINUTES)
    def submits_one(self, fate: str, minutes: int | None) -> None:
        """Snakemake hands a job over, which is sent at once where nothing else waits."""
        self.submits(fate, minutes)

    @rule(fate=FATES)
    def sends(self, fate: str) -> None:
        """What is due leaves, and something becomes of it."""
        self.world.send(fate)

    @rule(what=CHANGES)
    def conditions_change(self, what: str | tuple[float, bool]) -> None:
        """From now on the same becomes of submissions or listings, files are late, or something runs out or comes."""
        world = self.world
        match what:
            case float(delay), bool(tears):
                world.share.delay_seconds, world.share.tears = delay, tears
            case "ticket" | "no ticket":
                world.desk.client.ticket.is_valid = what == "ticket"
            case "space" | "no space":
                world.desk.fuse.is_disk_full = what == "no space"
            case str() if what in SUBMISSION_FATES:
                world.service.submission = what
            case str():
                world.service.listing = what

    @precondition(lambda self: self.world.service.delayed)
    @rule(number=ANY)
    def delivers(self, number: int) -> None:
        """A submission that was delayed reaches Slurm."""
        delayed = self.world.service.delayed
        self.world.service.deliver(delayed.pop(number % len(delayed)))

    @rule(seconds=st.sampled_from([10, 60, 100, 200, 400, 1000]))
    def lives(self, seconds: int) -> None:
        """Snakemake does its work for a while; where none runs, the user starts it."""
        if not self.world.desk.snakemake:
            self.world.restart()
        self.world.live(seconds)

    @rule(seconds=st.sampled_from([0, 100, 10_000]))
    def sleeps(self, seconds: int) -> None:
        """Snakemake's machine is suspended, but the cluster goes on."""
        self.world.pass_time(seconds)
        self.world.desk.look()

    @precondition(lambda self: self.has_live)
    @rule(number=ANY, code=st.sampled_from([None, 0, 1]))
    def steps(self, number: int, code: int | None) -> None:
        """A job starts, or makes one step, or its job command ends."""
        job = self.live(number)
        if job.waits:
            self.world.cluster.start(job)
        else:
            self.world.cluster.step(job, Go() if code is None else Exit(code))

    @precondition(lambda self: self.has_live)
    @rule(number=ANY, code=st.sampled_from([0, 0, 0, 1]))
    def works(self, number: int, code: int) -> None:
        """A job runs to its end."""
        self.world.cluster.work(self.live(number), code)

    @precondition(lambda self: self.has_live)
    @rule(number=ANY)
    def begins(self, number: int) -> None:
        """A job runs until its job command does."""
        self.world.cluster.begin(self.live(number))

    @precondition(lambda self: self.has_live)
    @rule(number=ANY, blow=st.sampled_from(Blow), when=st.sampled_from(["at once", "begun", "begun", "recorded"]))
    def is_struck(self, number: int, blow: Blow, when: str) -> None:
        """A job is ended or requeued by Slurm, at once, or while its job command runs, or before its end is shown."""
        job, cluster = self.live(number), self.world.cluster
        if when != "at once":
            cluster.begin(job)
        if when == "recorded":
            cluster.record(job, 0)
        if job.waits or job.is_running:
            cluster.strike(job, blow)

    @precondition(lambda self: self.world.cluster.jobs)
    @rule(number=ANY)
    def is_mistaken(self, number: int) -> None:
        """The end of another job strays into a run directory."""
        jobs = self.world.cluster.jobs
        self.world.share.stray(jobs[-1 - number % len(jobs)].token)

    @precondition(lambda self: self.has_ended)
    @rule(number=ANY)
    def comes_back(self, number: int) -> None:
        """Slurm starts a job again that has ended."""
        jobs = self.jobs(live=False)
        self.world.cluster.bring_back(jobs[number % len(jobs)])

    @precondition(lambda self: self.world.cluster.jobs)
    @rule(number=ANY, word=WORDS, seconds=st.sampled_from([100, 300, 1000, 100_000]))
    def is_shown_as(self, number: int, word: str, seconds: int) -> None:
        """Listings lie about a job, or leave it out, for some time."""
        jobs = self.world.cluster.jobs
        job = jobs[-1 - number % len(jobs)]
        job.shown, job.shown_until = word, self.world.now + seconds

    @precondition(lambda self: self.world.desk.snakemake)
    @rule(after=st.integers(0, 8))
    def will_crash(self, after: int) -> None:
        """Snakemake is killed some effects from now."""
        self.world.desk.fuse.left = after

    @rule(how=ENDS, meanwhile=MEANWHILE, after=st.sampled_from([None, None, 0, 3, 6]))
    def is_started_again(self, how: str, meanwhile: str, after: int | None) -> None:
        """Snakemake is killed, or the user stops it; things happen; it is started again, and perhaps killed soon."""
        if how == "SIGKILL":
            self.world.desk.crash()
        else:
            self.world.desk.stop()
        self.happens(meanwhile)
        self.world.desk.fuse.left = after
        self.world.restart()

    @precondition(lambda self: any(job.state == "failed" for job in self.world.desk.jobs))
    @rule(number=ANY)
    def is_retried(self, number: int) -> None:
        """Snakemake runs a job again that has failed."""
        failed = [job for job in self.world.desk.jobs if job.state == "failed"]
        self.world.retry(failed[number % len(failed)])

    @invariant()
    def keeps_promises(self) -> None:
        """No promise is broken."""
        assert not self.world.ledger.broken, self.world.ledger.broken


TestPromises = Promises.TestCase
TestPromises.settings = settings(stateful_step_count=50, max_examples=2 * settings().max_examples)
