"""Which jobs may go ahead of their inputs, over stand-ins for Snakemake's objects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from types import SimpleNamespace
from typing import Any, Self

import pytest
from snakemake.jobs import GroupJob
from snakemake.resources import Resources

from snakemake_executor_plugin_frceapi.lookahead import NotAhead, behind, check, resources_of, unfinished


class File(str):
    """A file of a job."""

    __slots__ = ("flags", "is_storage")
    flags: dict[str, bool]
    is_storage: bool

    def __new__(cls, name: str, *flags: str, is_storage: bool = False) -> Self:
        """Make a file with flags."""
        made = super().__new__(cls, name)
        made.flags, made.is_storage = dict.fromkeys(flags, True), is_storage
        return made


def flagged(*flags: str) -> File:
    """A file with flags."""
    return File("x.txt", *flags)


class Rule(SimpleNamespace):
    """A rule whose resources are values, or functions of the input."""

    def expand_resources(
        self, _wildcards: object, files: Any, _attempt: int, skip_evaluation: Collection[str]
    ) -> dict[str, object]:
        """Evaluate them as Snakemake does: every exception that is one of the usual kind is swallowed."""
        found: dict[str, object] = {}
        for name, value in self.resources.items():
            if name in skip_evaluation:
                found[name] = "<TBD>"
                continue
            try:
                found[name] = value(files) if callable(value) else value
            except Exception:  # noqa: BLE001 - that is what Snakemake does
                found[name] = "<TBD>"
        return found


class Job:
    """A job that may go ahead, but for what a test changes."""

    def __init__(self, **changes: Any) -> None:
        resources = {"_cores": 1, **changes.pop("resources", {})}
        rule = Rule(name="b", resources=resources, input=changes.pop("rule_input", []), output=[])
        usual = {
            "is_group": lambda: False,
            "is_local": False,
            "is_norun": False,
            "is_checkpoint": False,
            "incomplete_input_expand": False,
            "has_queue_input": lambda: False,
            "input": [File("a.txt")],
            "output": [File("b.txt")],
            "log": [],
            "attempt": 1,
            "wildcards_dict": {},
        }
        self.__dict__.update({**usual, **changes, "rule": rule})


class Group:
    """A group job of layers of jobs, that adds up resources as Snakemake does."""

    resources = GroupJob.resources

    def __init__(self, *layers: list[Job]) -> None:
        self.groupid = "g"
        self.toposorted = layers
        self.jobs = frozenset(job for layer in layers for job in layer)
        self.global_resources = Resources()
        self.dag = SimpleNamespace(workflow=SimpleNamespace(local_exec=False))

    def __iter__(self) -> Iterator[Job]:
        """The jobs in their order."""
        return (job for layer in self.toposorted for job in layer)

    def is_group(self) -> bool:
        """Whether it is a group job."""
        return True


class Dag:
    """A DAG in which `first` makes what `second` needs."""

    def __init__(self, first: Job, second: Job) -> None:
        self.depending: dict[Job, dict[Job, set[str]]] = {first: {second: {"a.txt"}}}
        self.dependencies: dict[Job, dict[Job, set[str]]] = {second: {first: {"a.txt"}}}
        self.over: set[Job] = set()
        self.unneeded: set[Job] = set()
        self.until: set[Job] = set()
        self.groups: dict[Job, object] = {}

    def needrun(self, job: Job) -> bool:
        """Whether a job has to run."""
        return job not in self.unneeded

    def finished(self, job: Job) -> bool:
        """Whether a job is finished."""
        return job in self.over

    def in_until(self, job: Job) -> bool:
        """Whether the run ends with a job."""
        return job in self.until

    def get_job_group(self, job: Job) -> object:
        """The group of a job."""
        return self.groups.get(job)


def workflow(dag: Dag | None = None, **limits: int) -> SimpleNamespace:
    """A workflow with limited resources."""
    return SimpleNamespace(dag=dag, global_resources={"_cores": 8, "_nodes": 20, **limits})


def test_finds_what_waits_for_a_job() -> None:
    """Only jobs that have to run and are not finished count, in both directions."""
    first, second = Job(), Job()
    dag = Dag(first, second)

    assert (behind(dag, first), unfinished(dag, second)) == ([second], [first])
    assert (behind(dag, second), unfinished(dag, first)) == ([], [])
    dag.over = {first}
    dag.unneeded = {second}
    assert (behind(dag, first), unfinished(dag, second)) == ([], [])


def test_lets_a_plain_job_go_ahead() -> None:
    """A job without anything special may go."""
    first, second = Job(), Job(output=[flagged("temp", "protected", "ensure")])

    check(Dag(first, second), second, [first])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_checkpoint": True}, "it is a checkpoint"),
        ({"incomplete_input_expand": True}, "its input is not final"),
        ({"has_queue_input": lambda: True}, "its input is not final"),
        ({"input": [flagged("checkpoint_target")]}, "flag"),
        ({"output": [flagged("update")]}, "flag"),
        ({"output": [flagged("pipe")]}, "flag"),
        ({"rule_input": [flagged("from_queue")]}, "flag"),
    ],
)
def test_keeps_back_what_is_not_final(changes: dict[str, Any], reason: str) -> None:
    """Each of these makes the job go the normal way, for a reason that a user understands."""
    second = Job(**changes)
    with pytest.raises(NotAhead, match=reason):
        check(Dag(first := Job(), second), second, [first])


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("until", "the run ends before it"),
        ("checkpoint", "a checkpoint comes before it"),
        ("storage", "its files are in a storage"),
    ],
)
def test_keeps_back_what_its_place_forbids(place: str, reason: str) -> None:
    """The end of the run, checkpoints before it and storages make a job go the normal way."""
    first = Job(is_checkpoint=place == "checkpoint")
    second = Job(input=[File("a.txt", is_storage=place == "storage")])
    dag = Dag(first, second)
    dag.until = {first} if place == "until" else set()
    with pytest.raises(NotAhead, match=reason):
        check(dag, second, [first])


def test_finds_the_group_that_waits_for_a_job() -> None:
    """A group is one thing, that waits for what its members wait for, and not for its members."""
    first, second, third = Job(), Job(), Job()
    dag = Dag(first, second)
    dag.depending[second] = dag.depending[first] = {second: {"a.txt"}, third: {"b.txt"}}
    dag.dependencies[third] = {first: {"a.txt"}, second: {"b.txt"}}
    group = Group([second], [third])
    dag.groups = {second: group, third: group}

    assert behind(dag, first) == [group]
    assert unfinished(dag, group) == [first]
    check(dag, group, [first])


def test_keeps_back_a_group_for_one_of_its_members() -> None:
    """Each member has to pass."""
    first, second = Job(), Job()
    dag = Dag(first, second)
    group = Group([second], [Job(is_checkpoint=True)])
    with pytest.raises(NotAhead, match="it is a checkpoint"):
        check(dag, group, [first])
    with pytest.raises(NotAhead, match="follow from its input"):
        resources_of(workflow(), Group([second], [Job(resources={"mem_mb": len})]))


def test_adds_up_what_a_group_asks_for_as_snakemake_does() -> None:
    """Members beside one another need the sum, the time is that of one layer after the other; the jobs stay as is."""
    beside = [Job(resources={"mem_mb": 300, "runtime": 5, "mem_mb_per_cpu": 7, "_cores": 2}) for _ in range(2)]
    last = Job(resources={"mem_mb": 500, "runtime": 7, "disk_mb": len, "_cores": 1})

    found = resources_of(workflow(), Group(beside, [last]))
    assert {name: found[name] for name in ("mem_mb", "runtime", "mem_mb_per_cpu", "_cores")} == {
        "mem_mb": 600,
        "runtime": 12,
        "mem_mb_per_cpu": 7,
        "_cores": 4,
    }
    assert "disk_mb" not in found


def test_evaluates_only_what_is_sent() -> None:
    """A resource that nobody sends may need the input; the others are what they are."""
    job = Job(resources={"mem_mb": 700, "runtime": 5, "disk_mb": lambda files: files.size_mb, "_cores": 3})

    assert resources_of(workflow(), job) == {"mem_mb": 700, "runtime": 5, "_cores": 3}


@pytest.mark.parametrize(
    "use",
    [
        lambda files: files.size_mb,
        lambda files: 2 * files[0],
        lambda files: sum(1 for _ in files),
        len,
        lambda files: 1 if files else 2,
        lambda files: f"{files}",
        lambda files: f"{files!r}",
        lambda files: 1 if files == [] else 2,
        lambda files: {files: 1}[files],
    ],
)
def test_notices_any_use_of_the_input(use: Callable[[Any], object]) -> None:
    """However a resource that is sent uses the input, its job goes the normal way."""
    with pytest.raises(NotAhead, match="follow from its input"):
        resources_of(workflow(), Job(resources={"mem_mb": use}))


@pytest.mark.parametrize(
    ("resources", "reason"),
    [({"db": 1}, "limited resource"), ({"frceapi_lookahead": 0}, "its rule says so")],
)
def test_keeps_back_what_is_limited_or_opted_out(resources: dict[str, object], reason: str) -> None:
    """A limited resource in use, and the wish of the rule, make a job go the normal way."""
    with pytest.raises(NotAhead, match=reason):
        resources_of(workflow(db=1), Job(resources=resources))


def test_takes_a_limited_resource_that_is_not_used_for_none() -> None:
    """A limit on what the job does not use is no obstacle, and the opt-out can be switched off."""
    job = Job(resources={"db": 0, "frceapi_lookahead": 1, "mem_mb": 5})

    assert resources_of(workflow(db=1), job)["mem_mb"] == 5
