"""Tests of how a job enters a run: anew, or as what an earlier run has submitted for it or for several jobs at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_frceapi import admission
from snakemake_executor_plugin_frceapi.admission import Admission
from snakemake_executor_plugin_frceapi.job import JobRequest, JobState, Unknown, Work
from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.journal import Entry, journals, replay
from snakemake_executor_plugin_frceapi.lookahead import GATE_MINUTES
from snakemake_executor_plugin_frceapi.preparation import Preparation
from snakemake_executor_plugin_frceapi.recovery import Legacy
from snakemake_executor_plugin_frceapi.resources import RequestDefaults
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.wire import Encoding
from tests.faults.stepped import SteppedRun

REQUEST = JobRequest(partition="norm", mem_mb_per_node=2000, time_limit_minutes=60)


@dataclass
class Info:
    """Snakemake's own record of a job; the job is told apart by its name."""

    job: str


class Cluster:
    """Stands for the canceller.

    Attributes:
        cancelled: the external jobids that were cancelled on the cluster.
    """

    def __init__(self) -> None:
        self.cancelled: list[str | None] = []

    def order_aside(self, submissions: Sequence[Submission]) -> None:
        """Stand for `Canceller.order_aside`, without the thread."""
        self.cancelled += [submission.external_jobid for submission in submissions]


class Desk(SteppedRun):
    """A run, what earlier runs have left, and what lets jobs in.

    Attributes:
        told: what each job was told, in order: what, and its name.
        cluster: where jobs are cancelled.
    """

    def __init__(self, top: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self.cluster = Cluster()
        self.left: list[Entry] = []
        self.let_begin: list[Submission] = []
        super().__init__(top)

    def submitted(self, submission: Submission) -> None:
        """Tell all jobs that it serves."""
        self.told += [("submitted", info.job) for info in submission.job_infos]

    def succeeded(self, submission: Submission) -> None:
        """Tell all jobs that it serves, as the executor does."""
        self.legacy.note_ended(submission.token)
        self.told += [("succeeded", info.job) for info in submission.job_infos]
        self.run.note_settled(submission.token)

    def failed(self, submission: Submission, message: str) -> None:
        """Tell all jobs that it serves, as the executor does."""
        self.legacy.note_failed(submission.token)
        self.told += [("failed", info.job) for info in submission.job_infos]
        super().failed(submission, message)

    def leave(self, token: str, *products: str, jobid: str | None = "7", claimed: bool = True) -> Entry:
        """An earlier run has submitted something."""
        works = tuple(Work("map", (product,), "5eed") for product in products)
        entry = Entry(
            token=token,
            rule="map",
            attempt=1,
            works=works,
            request=REQUEST,
            log_directory=self.top / "logs",
            posts=1,
            external_jobid=jobid,
        )
        item = self.submission(token)
        item.external_jobid = jobid
        assert item.run_directory
        item.run_directory.write()
        if claimed:
            self.starts(item)
        self.left.append(entry)
        return entry

    def open(self) -> None:
        """Begin to let jobs in."""
        self.legacy = Legacy(self.spool, self.left)
        self.legacy.note_listing(self.service.query_status())
        self.journal.inherit(self.left)
        script = RunSettings(directory=Path(), done=Path(), log_directory=Path(), workdir=self.top, command=())
        defaults = RequestDefaults("norm", 4000, None)
        preparation = Preparation(self.spool, defaults, Encoding(), self.top / "logs", script, self.run.hold, self.top)
        canceller: Any = self.cluster
        self.admission = Admission(self.legacy, preparation, self.run, canceller, self.let_begin.append, self.say)

    def admit(self, *names: str, signature: str = "5eed", awaited: tuple[str, ...] = ()) -> None:
        """Let jobs in, each of which makes the file of its name, and make a step."""
        for name in names:
            fresh = replace(
                self.submission(f"fresh-{name}"),
                job_info=Info(name),
                works=(Work("map", (name,), signature),),
                request=REQUEST,
                awaited=awaited,
            )
            self.admission.admit(fresh)
        self.step()

    def old(self, token: str, jobid: str = "7") -> Submission:
        """What an earlier run has submitted, for `starts` and `ends`."""
        return replace(self.submission(token), external_jobid=jobid)

    def entry(self, token: str) -> Entry:
        """What a later run would know of a submission."""
        (journal,) = journals(self.spool.directory)
        return replay(journal.read_text().splitlines())[token]

    def is_open(self, token: str) -> bool:
        """Whether a later run would ask what became of a submission."""
        return self.entry(token).is_open

    @property
    def posted(self) -> list[str]:
        """What was posted: the tokens."""
        return [body.decode().rpartition("/jobs/")[2].partition("\\n")[0] for _, body in self.service.posted]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A run that has not begun; what a group's member is beside the others, it is by itself."""
    monkeypatch.setattr(admission, "works_of", lambda job, _: (Work("map", (job,), "5eed"),))
    made = Desk(tmp_path)
    yield made
    made.journal.close()


def wait_for_cancel(desk: Desk) -> None:
    """Wait for the thread that cancels."""
    until = time.monotonic() + 60
    while not desk.cluster.cancelled:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_submits_what_nobody_has_submitted(desk: Desk) -> None:
    """A job of which earlier runs have nothing is posted."""
    desk.leave("t", "a")
    desk.open()
    desk.admit("b")

    assert desk.posted == ["fresh-b"]
    assert desk.told == [("submitted", "b")]


@pytest.mark.parametrize("exit_code", [0, 3])
def test_adopts_what_runs(exit_code: int, desk: Desk) -> None:
    """Nothing is posted; the job is told of the earlier run's job, and of its end."""
    desk.leave("t", "a")
    desk.open()
    desk.admit("a")
    assert desk.told == [("submitted", "a")]
    assert [(item.external_jobid, item.log) for item in desk.run.live] == [("7", desk.top / "logs" / "7.log")]

    desk.ends(desk.old("t"), exit_code)
    desk.step(1)
    assert desk.told[1:] == [("failed" if exit_code else "succeeded", "a")]
    assert desk.posted == []
    assert not desk.spool.has_jobs()


def test_takes_what_has_ended_well(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is told at once, and nothing is left of it when Snakemake has recorded it."""
    monkeypatch.chdir(desk.top)
    (desk.top / "a").touch()
    desk.leave("t", "a")
    desk.ends(desk.old("t"))
    desk.open()
    desk.admit("a")

    assert desk.told == [("submitted", "a"), ("succeeded", "a")]
    assert desk.posted == []
    assert not desk.spool.has_jobs()
    assert not desk.spool.done_entry("t").exists()


def test_looks_for_what_nobody_has_answered(desk: Desk) -> None:
    """What may have arrived is looked for, and posted again under its own token."""
    desk.leave("t", "a", jobid=None, claimed=False)
    desk.open()
    desk.admit("a")
    assert desk.posted == []

    desk.steps(90, every=10)
    assert desk.posted == ["t"]
    assert desk.told == [("submitted", "a")]


def _leave_at_its_gate(desk: Desk, *, claimed: bool = True) -> None:
    """An earlier run has submitted something ahead of a file."""
    entry = desk.leave("t", "a", claimed=claimed)
    request = REQUEST.behind("afterok:6", GATE_MINUTES)
    desk.left = [replace(entry, request=request, awaited=("in",), went_ahead=True)]


@pytest.mark.parametrize("claimed", [True, False], ids=["at its gate", "pending"])
def test_lets_begin_what_went_ahead(claimed: bool, desk: Desk) -> None:  # noqa: FBT001 - pytest's
    """It is taken up, its gate is opened, and what it is made from is known from then on."""
    _leave_at_its_gate(desk, claimed=claimed)
    desk.open()
    desk.admit("a")

    assert desk.posted == []
    assert [item.token for item in desk.let_begin] == ["t"]
    assert desk.entry("t").went_ahead
    assert not desk.entry("t").awaited


def test_replaces_what_went_ahead_with_other_resources(desk: Desk) -> None:
    """The time that a job has for its gate is no difference; the rest of the request is."""
    _leave_at_its_gate(desk, claimed=False)
    desk.left[0] = replace(desk.left[0], request=replace(desk.left[0].request, cpus_per_task=7))
    desk.open()
    desk.admit("a")

    assert desk.posted == ["fresh-a"]
    assert desk.let_begin == []


def test_lets_nothing_begin_before_its_inputs(desk: Desk) -> None:
    """Snakemake that submits all jobs at once comes to them before their inputs are made."""
    _leave_at_its_gate(desk)
    desk.open()
    desk.admit("a", awaited=("in",))

    assert desk.posted == []
    assert [item.token for item in desk.run.live] == ["t"]
    assert desk.let_begin == []


@pytest.mark.parametrize("comes", [True, False])
def test_keeps_what_a_pending_job_will_look_into(comes: bool, desk: Desk) -> None:  # noqa: FBT001 - pytest's
    """The run directory of what it waits for stays until it is over, whether or not Snakemake has come to it."""
    desk.leave("a", "a")
    desk.leave("b", "b", jobid="8", claimed=False)
    desk.left[1] = replace(desk.left[1], upstream=("a",), awaited=("a",))
    desk.open()
    desk.admit("a", *(["b"] if comes else []))
    desk.ends(desk.old("a"))
    desk.step(1)
    assert desk.told[-1] == ("succeeded", "a")
    assert desk.spool.has_job("a")

    if comes:
        desk.starts(desk.old("b", "8"))
        desk.ends(desk.old("b", "8"))
        desk.step(1)
        assert not desk.spool.has_jobs()


# Replacing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [JobState.RUNNING, None])
def test_replaces_what_has_changed_when_it_is_over(state: JobState | None, desk: Desk) -> None:
    """The old job is cancelled, here and on the cluster, and the new one is posted after its end only."""
    desk.leave("t", "a")
    if state:
        desk.service.lists(state, "7")
    desk.open()
    desk.admit("a", signature="other")
    if state:
        wait_for_cancel(desk)
    assert desk.posted == []
    assert desk.order(desk.old("t")) == "cancel"

    desk.ends(desk.old("t"), 143, "cancelled")
    desk.service.listed.clear()
    desk.steps(20)
    assert desk.posted == ["fresh-a"]
    assert desk.cluster.cancelled == (["7"] if state else [])
    assert desk.told == [("submitted", "a")]
    assert "(7) does not serve, its code, parameters, inputs or outputs are others now" in desk.said[0]


def test_replaces_at_once_what_can_never_begin(desk: Desk) -> None:
    """A job that has not claimed its run directory finds the order there."""
    desk.leave("t", "a", claimed=False)
    desk.open()
    desk.admit("a", signature="other")

    assert desk.posted == ["fresh-a"]
    assert desk.order(desk.old("t")) == "cancel"
    assert not desk.is_open("t")


def test_waits_for_all_that_it_replaces(desk: Desk) -> None:
    """Two jobs that make the same must both be over."""
    desk.leave("t", "a", jobid="7")
    desk.leave("u", "a", jobid="8")
    desk.open()
    desk.admit("a")
    for token, jobid in (("t", "7"), ("u", "8")):
        assert desk.posted == []
        desk.ends(desk.old(token, jobid), 143, "cancelled")
        desk.steps(20)

    assert desk.posted == ["fresh-a"]


@pytest.mark.parametrize("exit_code", [0, 3])
def test_replaced_job_leaves_nothing_however_it_ends(exit_code: int, desk: Desk) -> None:
    """An old job that ends by itself, before it sees the order, serves nobody either."""
    desk.leave("t", "a")
    desk.open()
    desk.admit("a", signature="other")
    desk.ends(desk.old("t"), exit_code)
    desk.steps(3)

    assert desk.posted == ["fresh-a"]
    assert desk.told == [("submitted", "a")]
    assert [path.name for path in (desk.spool.directory / "jobs").iterdir()] == ["fresh-a"]
    assert not desk.is_open("t")


# Several jobs of this run, one submission of an earlier one -----------------------------------------------------------


@pytest.mark.parametrize(("exit_code", "end"), [(0, "succeeded"), (3, "failed")])
def test_several_jobs_share_one_submission(exit_code: int, end: str, desk: Desk) -> None:
    """The members of an earlier run's group are told together; none of them is posted beside it."""
    desk.leave("t", "a", "b", "c")
    desk.open()
    desk.admit("a", "b")
    desk.ends(desk.old("t"), exit_code)
    desk.step(1)

    assert desk.posted == []
    assert set(desk.told) == {("submitted", "a"), ("submitted", "b"), (end, "a"), (end, "b")}
    assert [told for told in desk.told if told[0] == end] == [(end, "a"), (end, "b")]
    assert not desk.spool.has_jobs()


def test_jobs_share_what_nobody_has_answered(desk: Desk) -> None:
    """They are told of it when it is found."""
    desk.leave("t", "a", "b", jobid=None, claimed=False)
    desk.open()
    desk.admit("a", "b")
    assert desk.told == []

    desk.starts(desk.old("t"))
    desk.step(1)
    assert desk.told == [("submitted", "a"), ("submitted", "b")]


def test_job_takes_what_has_ended_for_another_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that becomes ready after the end of the group does not run again."""
    monkeypatch.chdir(desk.top)
    desk.leave("t", "a", "b")
    desk.open()
    desk.admit("a")
    (desk.top / "b").touch()
    desk.ends(desk.old("t"))
    desk.step(1)
    desk.admit("b")

    assert desk.told[-1] == ("succeeded", "b")
    assert desk.posted == []


def test_job_is_submitted_after_what_has_failed_for_another_one(desk: Desk) -> None:
    """A member that becomes ready after a failure that was reported has nothing to wait for; so has a next attempt."""
    desk.leave("t", "a", "b")
    desk.open()
    desk.admit("a")
    desk.ends(desk.old("t"), 3)
    desk.step(1)
    desk.admit("b", "a")

    assert desk.posted == ["fresh-b", "fresh-a"]


def test_job_that_comes_at_the_very_end_asks_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends between the question and the answer is asked for once more."""
    monkeypatch.chdir(desk.top)
    (desk.top / "b").touch()
    desk.leave("t", "a", "b")
    desk.open()
    desk.admit("a")
    share = desk.run.share

    def ends_first(token: str, job_info: object) -> bool:
        desk.ends(desk.old("t"))
        desk.run.look()
        return share(token, job_info)

    monkeypatch.setattr(desk.run, "share", ends_first)
    desk.admit("b")

    assert desk.told == [("submitted", "a"), ("succeeded", "a"), ("submitted", "b"), ("succeeded", "b")]
    assert desk.posted == []


@pytest.mark.parametrize("exit_code", [0, 3])
def test_job_that_has_changed_waits_for_what_serves_another_one(exit_code: int, desk: Desk) -> None:
    """It neither runs beside the group nor ends it."""
    desk.service.lists(JobState.RUNNING, "7")
    desk.leave("t", "a", "b")
    desk.open()
    desk.admit("a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "works_of", lambda job, _: (Work("map", (job,), "other"),))
        desk.admit("b")
    desk.steps(5)
    assert desk.posted == []
    assert desk.order(desk.old("t")) == "run"

    desk.ends(desk.old("t"), exit_code)
    desk.steps(3)
    assert desk.posted == ["fresh-b"]
    assert desk.told == [("submitted", "a"), ("failed" if exit_code else "succeeded", "a"), ("submitted", "b")]
    assert desk.cluster.cancelled == []


def test_job_waits_for_what_another_one_has_replaced(desk: Desk) -> None:
    """No member runs beside a group that is being cancelled, whether it has changed itself or not."""
    desk.leave("t", "a", "b", "c")
    desk.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "works_of", lambda job, _: (Work("map", (job,), "other"),))
        desk.admit("a", "b")
    desk.admit("c")
    desk.steps(5)
    assert desk.posted == []

    desk.ends(desk.old("t"), 143, "cancelled")
    desk.steps(20)
    assert sorted(desk.posted) == ["fresh-a", "fresh-b", "fresh-c"]


def test_job_shares_nothing_that_is_being_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the order to cancel cannot be read just now, what another job has replaced is only waited for."""
    desk.leave("t", "a", "b")
    desk.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "works_of", lambda job, _: (Work("map", (job,), "other"),))
        desk.admit("a")
    monkeypatch.setattr(desk.spool, "is_cancel_ordered", lambda _: False)
    desk.admit("b")
    desk.ends(desk.old("t"), 143, "cancelled")
    assert desk.posted == []
    desk.steps(20)

    assert sorted(desk.posted) == ["fresh-a", "fresh-b"]
    assert sorted(desk.told) == [("submitted", "a"), ("submitted", "b")]
    assert "(7) does not serve, it is being cancelled; the job" in desk.said[-1]


def test_job_does_not_wait_for_what_was_given_up(desk: Desk) -> None:
    """A submission that has left no trace fails for the job that has adopted it, and frees the one that waits."""
    desk.leave("t", "a", "b", jobid=None, claimed=False)
    desk.open()
    desk.admit("a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "works_of", lambda job, _: (Work("map", (job,), "other"),))
        desk.admit("b")
    desk.service.answer = Unknown("no answer came")
    while not desk.told:
        desk.step(20)
    assert desk.told == [("failed", "a")]
    assert set(desk.posted[:3]) == {"t"}

    desk.service.answer = None
    desk.steps(600, every=20)
    assert desk.posted[-1] == "fresh-b"
    assert desk.told[1:] == [("submitted", "b")]
