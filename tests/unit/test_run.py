"""Tests of a run: a service that answers as a test wants, a real run directory, and a clock that is set by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import (
    Accepted,
    JobRequest,
    JobState,
    JobStatus,
    Listing,
    NotSent,
    Refused,
    SubmitOutcome,
    Unknown,
)
from snakemake_executor_plugin_frceapi.journal import Journal
from snakemake_executor_plugin_frceapi.markers import Order, order_line
from snakemake_executor_plugin_frceapi.outage import GaveUp
from snakemake_executor_plugin_frceapi.pacing import LONGEST_ROUND_SECONDS
from snakemake_executor_plugin_frceapi.policy import MOST_POSTS
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.threads import Threads
from tests.carrying import Carrying
from tests.run_directories import a_run_directory, order_in
from tests.submissions import a_policy, a_submission
from tests.waiting import PATIENCE_SECONDS, wait_until

LOST = Unknown("no answer came")
REFUSED = Refused("bad_partition", "no")
TOKEN = "t"


class Service(Carrying):
    """Answers in the order that a test sets, then accepts; lists what a test sets."""

    def __init__(self) -> None:
        self.answers: list[SubmitOutcome] = []
        self.posted: list[bytes] = []
        self.listed: dict[str, JobStatus] = {}
        self.asked: list[set[str]] = []
        self.fault: TransientFault | None = None
        self.next_jobid = 101

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Note a body and answer."""
        return self.answer(body)

    def answer(self, body: bytes) -> SubmitOutcome:
        """Take the next answer."""
        self.posted.append(body)
        if self.answers:
            return self.answers.pop(0)
        self.next_jobid += 1
        return Accepted(str(self.next_jobid - 1))

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:
        """Answer with the listing, or not at all."""
        self.asked.append(set(wanted or ()))
        if self.fault is not None:
            raise self.fault
        return Listing(dict(self.listed))

    def lists(self, **states: JobState | str) -> None:
        """List jobs from now on; `job101=JobState.RUNNING`."""
        for name, state in states.items():
            jobid = name.removeprefix("job")
            known = state if isinstance(state, JobState) else JobState.UNKNOWN
            self.listed[jobid] = JobStatus(jobid, known, state if isinstance(state, str) else state.value)


@dataclass
class World:
    """A run and everything around it.

    Attributes:
        events: what was reported, in order: the kind and the token.
        messages: the messages of failures by token.
        orders: what stood in the job's order as its failure was reported, by token.
        said: lines for the user.
    """

    spool: Spool
    top: Path
    keep_logs: bool = False
    now: float = 1000.0
    events: list[tuple[str, str]] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str | None] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service = Service()
        policy = a_policy(
            interval_seconds=0.01,
            connections=2,
            outage_seconds=3600.0,
            keep_successful_logs=self.keep_logs,
        )
        self.journal = Journal(self.spool.directory)
        begin = time.monotonic()
        threads = Threads(clock=lambda: self.now + time.monotonic() - begin)
        self.run = Run(self.service, self.spool, self.journal, policy, self, threads)

    def submitted(self, submission: Submission) -> None:
        """Note that a job was taken."""
        self.events.append(("submitted", submission.token))

    def succeeded(self, submission: Submission) -> None:
        """Note that a job has ended well, and record it as Snakemake does."""
        self.events.append(("succeeded", submission.token))
        self.run.note_settled(submission.token)

    def failed(self, submission: Submission, message: str) -> None:
        """Note that a job has failed, and the order that stands in its directory by now."""
        self.events.append(("failed", submission.token))
        self.messages[submission.token] = message
        self.orders[submission.token] = self.order(submission)

    def say(self, line: str) -> None:
        """Note a line."""
        self.said.append(line)

    warn = say

    def order(self, item: Submission) -> str | None:
        """What stands in a job's order, None where there is none."""
        control = self.spool.job_directory(item.token) / "control"
        return order_in(control) if control.exists() else None

    def submission(self, token: str = TOKEN, minutes: int | None = 60) -> Submission:
        """A submission that was not handed over yet."""
        return a_submission(
            token,
            request=JobRequest(partition="norm", time_limit_minutes=minutes),
            log_directory=self.top / "logs",
            run_directory=a_run_directory(self.spool, token),
        )

    def submit(self, token: str = TOKEN, *answers: SubmitOutcome) -> Submission:
        """Hand a job over and look at what came of it."""
        self.service.answers += answers
        item = self.submission(token)
        posts = len(self.service.posted)
        self.run.submit(item)
        self.look_until(lambda: len(self.service.posted) > posts and self.is_settled(item))
        return item

    def is_settled(self, item: Submission) -> bool:
        """Whether a job was taken, is unknown, or is over."""
        return bool(item.external_jobid) or item.unknown_since is not None or ("failed", item.token) in self.events

    def look_until(self, true: Callable[[], object]) -> None:
        """Look until something is true."""

        def looked() -> bool:
            self.run.look()
            return bool(true())

        wait_until(looked)

    def listing(self, after: float = 0.0) -> None:
        """Look at a listing, or a failed request, that was made from a later time on."""
        self.now += after
        asked = len(self.service.asked)
        wait_until(lambda: len(self.service.asked) >= asked + 2)
        self.run.look()

    def posting(self, after: float = 0.0) -> None:
        """Look at what came of a submission that was sent, or could not be, from a later time on."""
        self.now += after
        posted = len(self.service.posted)
        wait_until(lambda: len(self.service.posted) >= posted + 2)
        self.run.look()

    def look(self, after: float = 0.0) -> None:
        """Look now and then, and at last at a later time."""
        while after > LONGEST_ROUND_SECONDS / 2:
            after -= LONGEST_ROUND_SECONDS / 2
            self.look(LONGEST_ROUND_SECONDS / 2)
        self.now += after
        self.run.look()

    def claims(self, item: Submission, jobid: str) -> None:
        """Write the claim of a job."""
        (self.spool.job_directory(item.token) / "claim").write_text(f"{jobid}\n")

    def starts(self, item: Submission, jobid: str) -> None:
        """Write the start marker of a job."""
        (self.spool.job_directory(item.token) / "started").write_text(f"id={jobid} restart=0 node=n cluster=frce\n")

    def ends(
        self, item: Submission, exit_code: int = 0, cause: str = "own", jobid: str = "101", *, link: bool = True
    ) -> None:
        """Write the end marker of a job, and link it into the listing of ends."""
        text = f"id={jobid} restart=0 exit={exit_code} cause={cause} start=1 end=2 cpu_ticks=1\n"
        (self.spool.job_directory(item.token) / f"end.{jobid}.0").write_text(text)
        if link:
            self.spool.done_entry(item.token).write_text(text)

    def logs(self, jobid: str, text: str) -> Path:
        """Write the log of a job."""
        path = self.top / "logs" / f"{jobid}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A run without jobs, whose calls are tried again soon."""
    monkeypatch.setattr("snakemake_executor_plugin_frceapi.outage.wait_seconds", lambda *_, **__: 0.01)
    world = World(Spool(tmp_path / "spool"), tmp_path)
    yield world
    stop(world)


def stop(world: World) -> None:
    """Stop a run and wait for its threads."""
    world.run.stop(PATIENCE_SECONDS)
    wait_until(_only_alarm)


def _only_alarm() -> bool:
    """Whether what is left is the alarm of requests, which a client of another test has started and which stays."""
    return {one.name for one in threading.enumerate() if one.name.startswith("frceapi-")} <= {"frceapi-deadlines"}


def test_reports_a_job_that_succeeds(world: World) -> None:
    """A job is reported as submitted and as succeeded, once each, and leaves nothing behind."""
    item = world.submit()
    log = world.logs("101", "hello\n")
    assert item.external_jobid == "101"
    assert world.run.live == [item]
    world.ends(item)
    for _ in range(3):
        world.look()

    assert world.events == [("submitted", "t"), ("succeeded", "t")]
    assert world.run.live == []
    assert not world.spool.has_jobs()
    assert not world.spool.done_entry("t").exists()
    assert not log.exists()


@pytest.mark.parametrize("known", [{}, {"101": "t", "7": "gone"}], ids=["looked for", "known"])
def test_keeps_the_run_directory_that_another_job_looks_into(world: World, known: dict[str, str]) -> None:
    """It outlives its own job, and goes when the other one is over; jobs that are not of this run have none."""
    item = world.submit()
    held = world.run.hold({"101", "7"}, known)
    world.ends(item)
    for _ in range(3):
        world.look()

    assert held == ("t",)
    assert world.run.live == []
    assert world.spool.has_job("t")
    world.run.tidying.release(held)
    assert not world.spool.has_jobs()


def test_keeps_the_log_of_a_success_on_request(tmp_path: Path) -> None:
    """With --frceapi-keep-successful-logs the log stays."""
    world = World(Spool(tmp_path / "spool"), tmp_path, keep_logs=True)
    item = world.submit()
    log = world.logs("101", "hello\n")
    world.ends(item)
    world.look()
    stop(world)

    assert log.exists()


def test_reports_a_success_whose_log_cannot_be_removed(world: World) -> None:
    """A log that cannot be removed is no reason to fail a job, or a run."""
    item = world.submit()
    (world.top / "logs" / "101.log" / "directory").mkdir(parents=True)
    world.ends(item)
    world.look()

    assert world.events[-1] == ("succeeded", "t")
    assert not world.spool.has_jobs()


def test_reports_a_job_that_fails_by_itself(world: World) -> None:
    """The message shows exit code and log; the log stays, the run directory goes."""
    item = world.submit()
    log = world.logs("101", "the cause\n")
    world.ends(item, 3)
    world.look()

    assert world.events == [("submitted", "t"), ("failed", "t")]
    assert "exit code 3" in world.messages["t"]
    assert "the cause" in world.messages["t"]
    assert log.exists()
    assert not world.spool.has_jobs()
    assert not world.spool.done_entry("t").exists()


@pytest.mark.parametrize("cause", [None, "signal", "cancelled"])
def test_forbids_a_job_before_it_is_reported_as_failed(cause: str | None, world: World) -> None:
    """A failure without an end of the job's own is reported only after the order that nothing begins any more."""
    item = world.submit()
    world.service.lists(job101=JobState.CANCELLED)
    if cause is not None:
        world.ends(item, 143, cause)
    world.listing()
    world.look(after=90.0)

    assert world.events == [("submitted", "t"), ("failed", "t")]
    assert world.orders == {"t": "cancel"}
    assert world.order(item) is None
    assert not world.spool.done_entry("t").exists()


def test_waits_until_a_job_is_forbidden_before_it_is_reported_as_failed(world: World) -> None:
    """While the order cannot be written the job may still begin, so it is not given up."""
    item = world.submit()
    control = world.spool.job_directory("t") / "control"
    control.unlink()
    control.mkdir()
    world.service.lists(job101=JobState.CANCELLED)
    world.listing()
    world.look(after=90.0)
    assert world.events == [("submitted", "t")]

    control.rmdir()
    control.write_text(order_line(Order.RUN))
    world.look()
    assert world.events == [("submitted", "t"), ("failed", "t")]
    assert world.orders == {item.token: "cancel"}


def test_finds_an_end_that_is_not_linked_once_the_job_is_listed_as_ended(world: World) -> None:
    """Where the entry in the listing of ends is missing, the end in the run directory itself is found."""
    item = world.submit()
    world.service.lists(job101=JobState.RUNNING)
    world.ends(item, 0, link=False)
    world.listing()
    assert world.events == [("submitted", "t")]
    world.service.lists(job101=JobState.COMPLETED)
    world.listing()

    assert world.events == [("submitted", "t"), ("succeeded", "t")]


def test_waits_between_listings_only_for_jobs_that_time_can_change(world: World) -> None:
    """A marker is waited for without another listing; whether a job comes back only a listing can tell."""
    first, second = world.submit("a"), world.submit("b")
    world.service.lists(job101=JobState.COMPLETED, job102=JobState.NODE_FAIL)
    world.listing()
    world.service.fault = TransientFault("no answer")
    world.listing()
    world.look(after=601.0)
    assert [event for event in world.events if event[0] == "failed"] == [("failed", first.token)]
    assert world.run.live == [second]

    world.service.fault = None
    world.listing()
    assert world.run.live == []


def test_keeps_a_job_active_that_is_not_listed(world: World) -> None:
    """Neither absence from listings nor failed requests say anything about a job."""
    world.submit()
    world.listing()
    world.now += 86_000.0
    world.listing()
    world.service.fault = TransientFault("no answer")
    world.listing()
    world.listing()

    assert world.events == [("submitted", "t")]


def test_changes_nothing_when_a_request_fails(world: World) -> None:
    """A status request that failed leaves each job's history as it was."""
    item = world.submit()
    world.service.lists(job101=JobState.RUNNING)
    world.listing()
    world.service.fault = TransientFault("no answer")
    world.listing()
    history = item.history
    world.service.listed.clear()
    world.now += 50.0
    world.listing()

    assert item.history == history


def test_gives_up_a_started_job_that_is_gone_when_its_time_is_over(world: World) -> None:
    """A job that has left its start, is not listed and has no end fails once a listing is later than its limit."""
    item = world.submit()
    world.starts(item, "101")
    world.listing()
    world.look(after=3600.0 + 264.0 + 590.0)
    world.listing()
    world.service.fault = TransientFault("no answer")
    world.listing()
    assert world.events == [("submitted", "t")]
    world.look(after=11.0)
    assert world.events == [("submitted", "t")]

    world.service.fault = None
    world.listing()

    assert world.events[-1] == ("failed", "t")
    assert world.orders == {"t": "cancel"}


def test_asks_for_active_jobs_only(world: World) -> None:
    """A request names the jobs whose end is not known."""
    item = world.submit("a")
    world.submit("b")
    world.listing()
    assert world.service.asked[-1] == {"101", "102"}
    world.ends(item)
    world.look()
    world.listing()

    assert world.service.asked[-1] == {"102"}


def test_says_once_that_a_state_is_not_known(world: World) -> None:
    """A word that is no state of Slurm's counts as active and is named once."""
    world.submit("a")
    world.submit("b")
    world.service.lists(job101="STRANGE", job102="STRANGE")
    for _ in range(3):
        world.listing()
    world.look(after=1e6)

    assert [line for line in world.said if "'STRANGE'" in line] == [
        "The API lists a job as 'STRANGE', which is no state of sacct(1): it counts as active."
    ]
    assert not [event for event in world.events if event[0] == "failed"]


def test_fails_a_refused_job_and_goes_on(world: World) -> None:
    """A refusal fails the job with the service's reason, and nothing of it stays."""
    world.submit("a", Refused("bad_partition", "no such partition"))
    world.submit("b")

    assert world.events == [("failed", "a"), ("submitted", "b")]
    assert world.messages["a"] == "The job was not submitted to partition 'norm': no such partition\n"
    assert not world.spool.job_directory("a").exists()


def test_adopts_the_claim_of_an_unknown_submission(world: World) -> None:
    """A submission without an answer that has started is followed under the number that its claim names."""
    item = world.submit("t", LOST)
    assert world.events == []
    assert world.run.live == [item]
    assert "Nobody knows whether a job of rule map was submitted: no answer came" in world.said
    world.claims(item, "555")
    world.look()
    assert (item.external_jobid, world.events) == ("555", [("submitted", "t")])
    assert world.run.live == [item]

    world.ends(item, jobid="555")
    world.look(after=1000.0)
    assert world.events[-1] == ("succeeded", "t")
    assert len(world.service.posted) == 1


def test_posts_the_same_body_again_when_there_is_no_trace(world: World) -> None:
    """After the grace the same body is posted again, so that a first job that did arrive finds its token claimed."""
    item = world.submit("t", LOST)
    world.look(after=20.0)
    time.sleep(0.05)
    assert len(world.service.posted) == 1
    world.look(after=40.0)
    world.look_until(lambda: item.external_jobid)

    assert world.service.posted == [b"t", b"t"]
    assert (item.posts, world.events, world.run.live) == (2, [("submitted", "t")], [item])


def test_posts_no_second_time_while_the_service_does_not_answer(world: World) -> None:
    """Without a listing since the post got lost, the next one would get lost as well."""
    world.service.fault = TransientFault("no answer")
    world.submit("t", LOST)
    world.listing(after=600.0)
    assert world.service.posted == [b"t"]

    world.service.fault = None
    world.listing()
    world.look_until(lambda: world.events)
    assert world.service.posted == [b"t", b"t"]
    assert world.events == [("submitted", "t")]


def test_fails_an_unknown_submission_after_five_posts(world: World) -> None:
    """It is posted five times at most, after waits that double; then the job is forbidden to begin and fails."""
    world.service.answers += [LOST] * 9
    item = world.submit("t")
    for posts in range(2, 6):
        begin = world.now
        while len(world.service.posted) < posts or item.unknown_since is None:
            world.listing(after=20.0)
        assert world.now - begin >= 60.0 * 2 ** (posts - 2)
    assert world.events == []
    while not world.events:
        world.listing(after=60.0)

    assert MOST_POSTS == len(world.service.posted) == 5
    assert world.events == [("failed", "t")]
    assert "posted 5 times and has left no trace" in world.messages["t"]
    assert world.orders == {"t": "cancel"}
    assert world.run.live == []


def test_forbids_a_job_whose_second_post_is_refused(world: World) -> None:
    """The first post may have arrived, so the job is forbidden to begin before it fails; it is live no longer."""
    item = world.submit("t", LOST, REFUSED)
    world.listing(after=60.0)
    world.look_until(lambda: world.events)

    assert world.events == [("failed", "t")]
    assert world.orders == {"t": "cancel"}
    assert world.run.live == []
    assert world.order(item) == "cancel"


def test_adopts_a_claim_when_the_second_post_is_refused(world: World) -> None:
    """A refusal of the second post means nothing when the first one runs."""
    item = world.submission("t")
    world.service.answers += [LOST, REFUSED]
    world.run.submit(item)
    world.look_until(lambda: item.unknown_since is not None)
    world.listing(after=60.0)
    world.claims(item, "555")
    world.look_until(lambda: world.events)

    assert (world.events, item.external_jobid) == ([("submitted", "t")], "555")
    assert world.order(item) == "run"


def test_follows_the_owner_of_the_claim(world: World) -> None:
    """Where the accepted job is a twin of another one, that one's end decides, whatever becomes of the twin."""
    item = world.submit("t", LOST)
    world.listing(after=60.0)
    world.look_until(lambda: item.external_jobid)
    world.claims(item, "100")
    world.service.lists(job101=JobState.FAILED, job100=JobState.RUNNING)
    world.listing()
    world.look(after=90.0)
    assert (item.external_jobid, world.run.live) == ("100", [item])
    assert "Job 101 is a twin of job 100, which is followed instead." in world.said
    world.listing()
    world.look(after=1e6)
    assert world.events == [("submitted", "t")]

    world.ends(item, jobid="100")
    world.look()
    assert world.events[-1] == ("succeeded", "t")


def test_follows_an_owner_that_has_ended(world: World) -> None:
    """An end of the claim's owner counts at once, although the API gave another number."""
    item = world.submit()
    world.ends(item, 4, jobid="99")
    world.look()

    assert world.events[-1] == ("failed", "t")
    assert world.messages["t"].startswith("Job 99 failed")


def test_gives_up_after_an_outage(world: World) -> None:
    """An outage beyond the tolerance ends the run, and the jobs are neither failed nor forbidden."""
    item = world.submit()
    world.service.fault = TransientFault("no answer")
    wait_until(lambda: any("no answer" in line for line in world.said))
    for _ in range(4):
        world.listing(after=850.0)
    with pytest.raises(
        GaveUp, match=r"No query_status has worked for 1\.0 h \(--frceapi-outage-tolerance 1\): no answer"
    ):
        world.listing(after=250.0)

    assert (world.events, world.run.live, world.order(item)) == ([("submitted", "t")], [item], "run")


def test_gives_up_when_nothing_can_be_submitted(world: World) -> None:
    """Submissions that cannot be sent for too long end the run as well."""
    world.service.answers += [NotSent(TransientFault("no connection"))] * 10_000
    world.run.submit(world.submission())
    wait_until(lambda: world.said)
    for _ in range(4):
        world.posting(after=850.0)
    with pytest.raises(GaveUp, match=r"No submit_job has worked for 1\.0 h .*: no connection; Snakemake gives up"):
        world.posting(after=250.0)


@pytest.mark.parametrize("outcome", [Accepted("101"), LOST, REFUSED, NotSent(TransientFault("no"))])
def test_knows_all_live_jobs_once_it_is_stopped(
    outcome: SubmitOutcome, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way is live if it may have arrived; of what never arrived nothing stays."""
    gate = threading.Event()
    answer = world.service.answer

    def slowly(body: bytes) -> SubmitOutcome:
        assert gate.wait(PATIENCE_SECONDS)
        return answer(body)

    monkeypatch.setattr(world.service, "answer", slowly)
    world.service.answers.append(outcome)
    items = [world.submission(token) for token in "abc"]
    for item in items:
        world.run.submit(item)
    wait_until(lambda: items[0].posts and items[1].posts)

    def open_when_stopped() -> None:
        submitter = world.run._guard.submitter  # noqa: SLF001 - only `stop` itself tells, when it is over
        wait_until(lambda: submitter._stopped)  # noqa: SLF001
        gate.set()

    opener = threading.Thread(target=open_when_stopped)
    opener.start()
    world.run.stop(PATIENCE_SECONDS)
    opener.join()

    arrived = isinstance(outcome, (Accepted, Unknown))
    assert len(world.run.live) == (2 if arrived else 1)
    assert items[2] not in world.run.live
    assert world.events == []
    assert not world.spool.job_directory("c").exists()
    assert {item.token for item in items if world.spool.job_directory(item.token).exists()} >= {
        item.token for item in world.run.live
    }


def test_keeps_what_may_have_arrived_when_it_is_stopped(world: World) -> None:
    """A job that is on its way for the second time may have arrived the first time: its run directory stays."""
    item = world.submit("t", LOST)
    world.service.answers += [NotSent(TransientFault("no connection"))] * 10_000
    world.listing(after=60.0)
    wait_until(lambda: any("no connection" in line for line in world.said))
    world.run.stop(PATIENCE_SECONDS)

    assert world.run.live == [item]
    assert world.order(item) == "run"


def test_waits_until_there_is_news(world: World) -> None:
    """Without jobs it waits until something happens; once closed it waits no more."""
    waiting = threading.Thread(target=world.run.wait)
    waiting.start()
    time.sleep(0.1)
    assert waiting.is_alive()
    world.run.wake()
    waiting.join(PATIENCE_SECONDS)
    assert not waiting.is_alive()

    world.run.close()
    for _ in range(3):
        world.run.wait()


def test_looks_again_by_itself_while_there_are_jobs(world: World) -> None:
    """With active jobs the wait ends without news, because an end may have come."""
    world.submit("t", LOST)
    world.run.wait()
    world.run.wait()

    assert len(world.run.live) == 1
