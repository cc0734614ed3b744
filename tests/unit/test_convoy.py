"""When a convoy sends which job, what it drops and when it is over, by the news that come."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from snakemake_executor_plugin_frceapi.convoy import Convoy
from snakemake_executor_plugin_frceapi.errors import RunFailed
from snakemake_executor_plugin_frceapi.news import NewsQueue
from snakemake_executor_plugin_frceapi.submission import Submission
from tests.submissions import a_submission

DIAMOND = {"a": "", "b": "a", "c": "a", "d": "bc", "e": ""}
"""The jobs, each with those before it."""


class Job:
    """A single job."""

    def __init__(self, name: str, dag: object) -> None:
        self.name = self.jobid = name
        self.dag = dag

    def is_group(self) -> bool:
        """It is none."""
        return False


class World:
    """A convoy, and a service whose answers the test gives beforehand.

    Attributes:
        sent: what was sent, with the numbers behind which it was.
        dropped: the jobs whose submissions were dropped.
        told: what Snakemake was told.
        plans: what becomes of each job, one word for each try: ``ends``, ``runs`` for one that goes on, ``refused``,
            ``fails``, ``cancelled``, or ``fails-late`` for one that does when the last job is in the queue.
        posts: how often each job was posted.
        nothing_begins: whether what fails has never begun.
    """

    def __init__(self, *, stays: bool, **plans: str) -> None:
        self.sent: list[tuple[str, str]] = []
        self.dropped: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.late: list[Submission] = []
        self.nothing_begins = False
        self.plans = {name: plans.get(name, "ends").split() for name in DIAMOND}
        self.posts = dict.fromkeys(DIAMOND, 1)
        self.news = NewsQueue(self)
        dag = SimpleNamespace(needrun=lambda _: True, dependencies={})
        self.jobs = {name: Job(name, dag) for name in DIAMOND}
        for name, before in DIAMOND.items():
            dag.dependencies[self.jobs[name]] = {self.jobs[other]: {f"{other}.txt"} for other in before}
        parts: Any = SimpleNamespace(live=[])
        following: Any = self
        self.convoy = Convoy(parts, lambda *_: (None, ()), self.send, self.drop, self.news, following, stays=stays)
        for name, job in self.jobs.items():
            ready: Any = SimpleNamespace(name=name, awaited=())
            self.convoy.add(SimpleNamespace(job=job, external_jobid=None), ready)

    def send(self, ready: Any, info: Any, behind: Sequence[Submission]) -> None:
        """Take a job, and let come of it what was planned."""
        name = ready.name
        self.sent.append((name, "".join(sorted(item.rule for item in behind))))
        item = a_submission(
            name,
            job_info=info,
            rule=name,
            external_jobid=str(len(self.sent)),
            posts=self.posts[name],
        )
        match self.plans[name].pop(0):
            case "refused":
                self.news.failed(item, "refused")
            case "runs":
                self.news.submitted(item)
            case "ends":
                self.news.submitted(item)
                self.news.succeeded(item)
            case "fails-late":
                self.news.submitted(item)
                self.late.append(item)
            case word:
                self.news.submitted(item)
                self.news.failed(item, word)
        for late in self.late if name == "d" else ():
            self.news.failed(late, "fails")

    def drop(self, items: Sequence[Submission]) -> None:
        """Note what is dropped."""
        self.dropped += [item.rule for item in items]

    def begin(self, *, shows_progress: bool) -> None:
        """Stand for `Following`."""

    def has_begun(self, _: Submission) -> bool:
        """As the test says."""
        return not self.nothing_begins

    def ended(self, item: Submission) -> None:
        """Stand for `Following`."""
        self.told.append(("ended", item.rule))

    def failed(self, item: Submission, message: str) -> None:
        """Stand for `Following`."""
        self.told.append((message, item.rule))

    def say(self, line: str) -> None:
        """Note a line."""
        self.said.append(line)

    warn = progress = say
    submitted = succeeded = ended


def test_sends_each_job_after_those_before_it() -> None:
    """A job is sent when all before it are in the queue, behind those that have not ended by then."""
    world = World(stays=False, a="runs", b="runs", d="runs")
    world.convoy.complete()

    assert world.sent == [("a", ""), ("e", ""), ("b", "a"), ("c", "a"), ("d", "bc")]
    assert world.told == [("ended", "e"), ("ended", "c")]
    assert world.said[-1].startswith("3 of 5 jobs wait or run; Snakemake ends here")


def test_stays_until_all_have_ended() -> None:
    """Nothing is left open, and nothing is said that is not known."""
    world = World(stays=True)
    world.convoy.complete()

    assert sorted(world.told) == [("ended", name) for name in "abcde"]
    assert not any("Snakemake ends here" in line for line in world.said)


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize(
    ("plans", "sent", "dropped", "text"),
    [
        ({"a": "refused"}, "ae", "", "Of 5 jobs 1 failed, and what waits for them does not run: b (1), c (1), d (1)."),
        ({"a": "fails", "b": "runs", "c": "runs", "d": "runs"}, "aebc", "bc", "Of 5 jobs 1 failed, and what waits"),
        ({"b": "fails"}, "aebc", "", "Of 5 jobs 1 failed, and what waits for them does not run: d (1)."),
        ({"b": "fails-late", "d": "runs"}, "aebcd", "d", "Of 5 jobs 1 failed, and what waits for them does not run: d"),
        ({"b": "fails", "c": "fails"}, "aebc", "", "Of 5 jobs 2 failed, and what"),
        ({"d": "refused"}, "aebcd", "", "Of 5 jobs 1 failed."),
    ],
    ids=["refused", "first", "middle", "late", "two", "last"],
)
def test_gives_up_what_waits_for_a_job_that_failed(
    plans: dict[str, str], sent: str, dropped: str, text: str, *, stays: bool
) -> None:
    """What was not sent yet never is, what was is dropped, and the rest goes on."""
    world = World(stays=stays, **plans)
    with pytest.raises(RunFailed) as failed:
        world.convoy.complete()

    assert str(failed.value).startswith(text)
    assert "".join(name for name, _ in world.sent) == sent
    assert sorted(world.dropped) == sorted(dropped)


def test_counts_no_failure_twice_where_slurm_was_faster() -> None:
    """What Slurm cancelled behind a failed job, before that failure was told, has not failed itself."""
    world = World(stays=True, b="fails-late", d="fails-late")
    world.nothing_begins = True
    with pytest.raises(RunFailed) as failed:
        world.convoy.complete()

    assert str(failed.value).startswith("Of 5 jobs 1 failed, and what waits for them does not run: d (1).")
    assert [name for message, name in world.told if message == "fails"] == ["b"]


@pytest.mark.parametrize("posts", [1, 2])
def test_submits_anew_what_slurm_cancelled_because_of_a_twin(posts: int) -> None:
    """A job that never began is tried again only if the one before it may have been submitted twice."""
    world = World(stays=True, b="cancelled ends", d="cancelled ends")
    world.posts["a"] = posts
    world.nothing_begins = True
    if posts == 1:
        with pytest.raises(RunFailed):
            world.convoy.complete()
        assert ("cancelled", "b") in world.told
        return
    world.convoy.complete()

    assert [name for name, _ in world.sent].count("b") == 2
    assert ("ended", "d") in world.told


def test_tries_not_for_ever() -> None:
    """After three submissions of a job that never begins, it has failed."""
    world = World(stays=True, b="cancelled cancelled cancelled")
    world.posts["a"] = 2
    world.nothing_begins = True
    with pytest.raises(RunFailed, match="Of 5 jobs 1 failed"):
        world.convoy.complete()

    assert [name for name, _ in world.sent].count("b") == 3


def test_ends_when_the_run_cannot_go_on() -> None:
    """What the run gives up for is the reason that the user reads."""
    world = World(stays=True, e="runs")
    world.convoy.stop("the API is gone")
    with pytest.raises(RunFailed, match="the API is gone"):
        world.convoy.complete()
