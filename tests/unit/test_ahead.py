"""The jobs that went ahead, over stand-ins for Snakemake's objects, the run and what ends jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from snakemake_executor_plugin_frceapi.ahead import Horizon, Vanguard
from snakemake_executor_plugin_frceapi.early import never_began
from snakemake_executor_plugin_frceapi.job import JobRequest, Work
from snakemake_executor_plugin_frceapi.markers import Order, order_line
from snakemake_executor_plugin_frceapi.preparation import ReadyJob
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Result, Submission
from snakemake_executor_plugin_frceapi.tracker import Cause, End, History
from tests.run_directories import order_in
from tests.submissions import a_submission


class File(str):
    """A file that is nothing special."""

    __slots__ = ()
    is_storage = False


class Job:
    """A job in a chain, which makes the file that has its name."""

    def __init__(self, name: str, memory: Callable[[], int]) -> None:
        self.name, self.output, self.input, self.log = name, [File(name)], [], []  # type: ignore[var-annotated]
        self.attempt, self.restart_times, self.wildcards_dict = 1, 1, {}  # type: ignore[var-annotated]
        self.is_local = self.is_checkpoint = self.incomplete_input_expand = False
        self.rule = SimpleNamespace(
            name=name,
            resources={"mem_mb": memory},
            input=[],
            output=[],
            expand_resources=lambda *_, **__: {"mem_mb": memory(), "_cores": 1},
        )

    def is_group(self) -> bool:
        """Whether it is a group job."""
        return False

    def has_queue_input(self) -> bool:
        """Whether its inputs come from a queue."""
        return False


class World:
    """A chain of jobs `a`, `b`, `c`, of which Snakemake has asked for the first, and the vanguard under test.

    Attributes:
        memory: what each job asks for.
        sent: the submissions that were handed to the run.
        noted: of which submissions the journal was told what they are made from, and the order that stood there then.
    """

    latest: ClassVar[World]

    def __init__(self, directory: Path, jobs: int | None = None) -> None:
        World.latest = self
        self.memory = 100
        self.now = 1000.0
        self.spool = Spool(directory)
        self.sent: list[Submission] = []
        self.a, self.b, self.c = self.chain = [Job(name, lambda: self.memory) for name in "abc"]
        self.finished: set[Job] = set()
        after = dict(zip(self.chain, self.chain[1:], strict=False))
        dag = SimpleNamespace(
            depending={job: {other: set()} for job, other in after.items()},
            dependencies={other: {job: set()} for job, other in after.items()},
            needrun=lambda _: True,
            finished=self.finished.__contains__,
            in_until=lambda _: False,
            get_job_group=lambda _: None,
        )
        horizon = Horizon(
            workflow=SimpleNamespace(dag=dag, global_resources={}),
            ahead=9,
            jobs=jobs,
            keeps_going=False,
        )
        self.noted: list[tuple[str, str]] = []
        run = SimpleNamespace(
            submit=self.sent.append, paused=nullcontext, wake=lambda: None, note_works=lambda item, _: self.note(item)
        )
        canceller = SimpleNamespace(order_aside=lambda _: None)
        preparation = SimpleNamespace(prepare=lambda ready, *_, **__: (self.submission(ready), ()))
        self.vanguard = Vanguard(horizon, "run", *cast("Any", (self.ready, preparation, run, self.spool, canceller)))
        self.vanguard.send(lambda: None)
        self.vanguard.note_submitted(self.a, self.submission(self.ready(self.a, {"mem_mb": 100}, ())))

    def ready(self, job: Job, resources: Any, awaited: tuple[str, ...]) -> ReadyJob:
        """What is known of a job."""
        return ReadyJob(
            name=job.name,
            is_group=False,
            works=(Work(job.name, (job.name,), ""),),
            wildcards={},
            attempt=job.attempt,
            resources=resources,
            threads=1,
            jobname=job.name,
            command=job.name,
            jobscript="",
            awaited=awaited,
        )

    def submission(self, ready: ReadyJob) -> Submission:
        """A submission under the name of its job."""
        request = JobRequest(
            partition="norm", ntasks=1, cpus_per_task=1, mem_mb_per_node=cast("int", ready.resources["mem_mb"])
        )
        return a_submission(
            ready.name,
            rule=ready.name,
            attempt=ready.attempt,
            works=ready.works,
            request=request,
        )

    def accept(self, *names: str) -> None:
        """Let the service take what went ahead, and write its run directory."""
        for name in names:
            item = next(item for item in self.sent if item.token == name)
            self.write(name)
            item.external_jobid = "1"
            item.on_accepted()
            self.vanguard.round()

    def write(self, name: str) -> None:
        """Write the run directory of a job that waits at its gate."""
        self.spool.job_directory(name).mkdir(parents=True)
        (self.spool.job_directory(name) / "control").write_text(order_line(Order.GATE), "ascii")

    def order(self, name: str) -> str:
        """What stands in its run directory."""
        return order_in(self.spool.job_directory(name) / "control")

    def note(self, item: Submission) -> None:
        """Note that the journal was told what the job of a submission is made from."""
        self.noted.append((item.token, self.order(item.token)))

    def pass_time(self) -> None:
        """Let so much time pass that Snakemake would have come to all jobs if there were places for them."""
        self.now += 60
        self.vanguard.round()

    def finish(self, job: Job) -> None:
        """Let Snakemake record a job."""
        self.vanguard.note_ended()
        self.vanguard.note_finished(job)
        self.finished.add(job)

    def fail(self, job: Job) -> None:
        """Let a job fail that is tried again."""
        self.vanguard.note_ended()
        self.vanguard.note_failed(job)

    def took(self, job: Job) -> bool | None:
        """Let Snakemake come to a job; return whether what went ahead serves, None if nothing did."""
        ready = self.ready(job, {"mem_mb": self.memory}, ())
        found = self.vanguard.take(ready, self.submission(ready))
        if found is not None and found.serves:
            self.vanguard.let_begin(found.submission)
        return None if found is None else found.serves


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is that of the world that was made last."""
    monkeypatch.setattr(time, "monotonic", lambda: World.latest.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A chain of which two jobs can go ahead."""
    made = World(tmp_path)
    made.vanguard.round()
    return made


def tokens(items: Sequence[Submission]) -> list[str]:
    """The tokens of submissions."""
    return [item.token for item in items]


def test_sends_a_chain_one_after_another(world: World) -> None:
    """A job goes ahead when the one before it was taken; its gate opens when Snakemake comes to it."""
    assert tokens(world.sent) == ["b"]
    world.accept("b", "c")
    assert tokens(world.sent) == ["b", "c"]
    world.finish(world.a)

    assert world.order("b") == "gate"
    assert world.took(world.b)
    assert (world.order("b"), world.order("c")) == ("run", "gate")


def test_opens_the_gate_of_a_job_that_snakemake_does_not_come_to(world: World) -> None:
    """With --jobs full of others a job begins all the same, after the journal was told what it is made from."""
    world.accept("b")
    world.finish(world.a)
    world.vanguard.round()
    assert world.order("b") == "gate"
    world.pass_time()

    assert (world.order("b"), world.noted) == ("run", [("b", "gate")])


def test_opens_a_gate_that_is_not_there_yet(world: World) -> None:
    """Where a submission is held up when Snakemake comes to its job, its gate is opened as soon as it is there."""
    world.finish(world.a)
    assert world.took(world.b)
    world.write("b")
    world.vanguard.round()

    assert world.order("b") == "run"
    assert world.spool.heartbeat("run").exists()


def test_cancels_what_is_dropped_while_it_is_sent(world: World) -> None:
    """The API may take a job after it was dropped: it is cancelled then, and nothing goes ahead of it."""
    world.fail(world.a)
    world.accept("b")

    assert world.order("b") == "cancel"
    assert tokens(world.sent) == ["b"]


def test_keeps_what_snakemake_comes_to_while_it_is_sent(world: World) -> None:
    """Whoever comes to a job has taken it before the API does: it is not cancelled, and the next one goes ahead."""
    world.finish(world.a)
    assert world.took(world.b)
    world.accept("b")

    assert world.order("b") == "run"
    assert tokens(world.sent) == ["b", "c"]


def test_drops_all_behind_what_is_submitted_anew(world: World) -> None:
    """What waits for a submission that does not serve would wait for ever, or for nothing."""
    world.accept("b", "c")
    world.finish(world.a)
    world.b.attempt = 2

    assert world.took(world.b) is False
    assert world.order("c") == "cancel"
    assert world.took(world.c) is None


def test_drops_all_behind_what_starts_over(world: World) -> None:
    """The same holds where Snakemake had come to the job already."""
    world.accept("b", "c")
    world.finish(world.a)
    assert world.took(world.b)
    world.vanguard.note_restarted(world.b)

    assert world.order("c") == "cancel"


def test_leaves_what_is_strange_to_the_normal_way(world: World) -> None:
    """An error costs a job its head start and nothing else; the line at the end tells of it."""
    world.c.log = [object()]
    world.accept("b")

    assert tokens(world.sent) == ["b"]
    told = "Look-ahead: 1 went ahead, 0 attached, 0 dropped; the normal way went 1 because of AttributeError."
    assert world.vanguard.summary() == told


def test_begins_nothing_with_old_resources(world: World) -> None:
    """A resource can follow from a file that is no input: a job at its gate that asked for another value is dropped."""
    world.accept("b")
    world.memory = 200
    world.finish(world.a)
    world.pass_time()

    assert world.order("b") == "cancel"
    assert world.took(world.b) is None


def test_attaches_to_nothing_with_old_resources(world: World) -> None:
    """Nor does Snakemake take such a job when it comes to it, though it stands at its gate."""
    world.accept("b")
    (world.spool.job_directory("b") / "claim").write_text("7\n")
    world.memory = 200
    world.finish(world.a)

    assert world.took(world.b) is False
    assert world.order("b") == "cancel"


def test_keeps_places_for_what_is_being_cancelled(tmp_path: Path) -> None:
    """With --jobs 3 nothing new comes into the queue until what was dropped has left it."""
    world = World(tmp_path, jobs=3)
    world.vanguard.round()
    world.accept("b", "c")
    world.fail(world.a)
    entered: list[str] = []
    for name in ("retry", "other"):
        world.vanguard.send(lambda name=name: entered.append(name))  # type: ignore[misc]
    world.vanguard.round()
    assert entered == ["retry"]

    world.sent[0].result = Result(succeeded=False)
    world.vanguard.round()
    assert entered == ["retry", "other"]


def test_gives_way_to_jobs_that_snakemake_has_asked_for(tmp_path: Path) -> None:
    """With --jobs 3 a job that can begin at once takes the place of the one that went ahead last."""
    world = World(tmp_path, jobs=3)
    world.vanguard.round()
    world.accept("b", "c")
    entered: list[str] = []
    world.vanguard.send(lambda: entered.append("other"))
    world.vanguard.round()
    world.vanguard.round()
    assert (world.order("b"), world.order("c"), entered) == ("gate", "cancel", [])

    world.sent[1].result = Result(succeeded=False)
    world.vanguard.round()
    assert (world.order("b"), entered) == ("gate", ["other"])


def test_gives_up_nothing_that_has_begun(tmp_path: Path) -> None:
    """A job that has claimed its submission stands at its gate already, and keeps its place."""
    world = World(tmp_path, jobs=2)
    world.vanguard.round()
    world.accept("b")
    (world.spool.job_directory(world.sent[0].token) / "claim").write_text("7\n")
    world.vanguard.send(lambda: None)
    world.vanguard.round()

    assert world.order("b") == "gate"


def test_sends_nothing_ahead_for_a_while_after_it_gave_way(tmp_path: Path) -> None:
    """Where places are wanted by jobs that can begin, the next one would be dropped as well."""
    world = World(tmp_path, jobs=2)
    world.vanguard.round()
    world.accept("b")
    world.vanguard.send(lambda: None)
    world.vanguard.round()
    world.sent[0].result = Result(succeeded=False)
    for _ in range(2):
        world.vanguard.note_ended()
    world.vanguard.note_submitted(world.a, world.submission(world.ready(world.a, {"mem_mb": 100}, ())))
    world.vanguard.round()

    assert len(world.sent) == 1


@pytest.mark.parametrize(
    ("claimed", "cause", "expected"),
    [
        (False, None, True),
        (True, None, False),
        (True, Cause.OWN, False),
        (True, Cause.SIGNAL, False),
        (True, Cause.UPSTREAM, True),
    ],
)
def test_knows_what_never_began(
    claimed: bool,  # noqa: FBT001
    cause: Cause | None,
    expected: bool,  # noqa: FBT001
    world: World,
) -> None:
    """A job that nobody claimed never began, nor did one that found its upstream jobs wanting."""
    item = world.sent[0]
    world.write("b")
    if claimed:
        (world.spool.job_directory("b") / "claim").write_text("1\n", "ascii")
    end = cause and End(external_jobid="1", restart=0, exit_code=76, cause=cause, start=1.0, end=2.0, cpu_seconds=0.0)
    item.history = replace(History(), end=end)

    assert never_began(item, world.spool) is expected
