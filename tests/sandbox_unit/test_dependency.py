"""What dependency expressions mean, without jobs."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.sandbox.dependency import (
    Dependency,
    Link,
    MalformedDependency,
    Outlook,
    Upstream,
    outlook,
    parse_dependency,
)

NEW = Upstream()
RUNNING = Upstream(begun_at=100.0)
GOOD = Upstream(begun_at=100.0, ended=True, succeeded=True)
BAD = Upstream(begun_at=100.0, ended=True)

MET, WAITING, NEVER = Outlook.MET, Outlook.WAITING, Outlook.NEVER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("afterok:1", Dependency((Link("afterok", 1),))),
        ("afterok:1:2,afterany:3", Dependency((Link("afterok", 1), Link("afterok", 2), Link("afterany", 3)))),
        ("afterok:1?afternotok:2", Dependency((Link("afterok", 1), Link("afternotok", 2)), any_of=True)),
        ("after:1+5:2", Dependency((Link("after", 1, 5), Link("after", 2)))),
        ("singleton", Dependency((Link("singleton"),))),
        ("aftercorr:7,singleton", Dependency((Link("aftercorr", 7), Link("singleton")))),
    ],
)
def test_parse_dependency_reads(text: str, expected: Dependency) -> None:
    """Every form of sbatch(1) is read; each id is a condition of its own."""
    assert parse_dependency(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "afterok",
        "afterok:",
        "afterok:x",
        "afterok:1,",
        "afterok:1,afterok:2?afterok:3",
        "afterok:1+5",
        "before:1",
        "singleton:1",
        "afterok:1 ",
        "afterok:1:2::3",
        "AFTEROK:1",
        "afterok:1;true",
        "after:1+",
    ],
)
def test_parse_dependency_refuses(text: str) -> None:
    """What sbatch(1) does not know is malformed."""
    with pytest.raises(MalformedDependency):
        parse_dependency(text)


@given(st.text(alphabet="afterokny:123,?+singleto"))
def test_parse_dependency_either_reads_or_refuses(text: str) -> None:
    """No text makes it fail in another way."""
    with contextlib.suppress(MalformedDependency):
        assert parse_dependency(text).links


@pytest.mark.parametrize(
    ("kind", "new", "running", "good", "bad"),
    [
        ("after", WAITING, MET, MET, MET),
        ("afterany", WAITING, WAITING, MET, MET),
        ("afterok", WAITING, WAITING, MET, NEVER),
        ("aftercorr", WAITING, WAITING, MET, NEVER),
        ("afternotok", WAITING, WAITING, NEVER, MET),
    ],
)
def test_outlook_follows_upstream(kind: str, new: Outlook, running: Outlook, good: Outlook, bad: Outlook) -> None:
    """The whole table of conditions and of what the other job does."""
    seen = [
        outlook(Dependency((Link(kind, 1),)), lambda _, job=job: job, 200.0, is_alone=True)  # type: ignore[misc]  # mypy cannot infer a default of a lambda
        for job in (NEW, RUNNING, GOOD, BAD)
    ]

    assert seen == [new, running, good, bad]


@pytest.mark.parametrize(("now", "expected"), [(159.9, WAITING), (160.0, MET)])
def test_outlook_waits_for_delay(now: float, expected: Outlook) -> None:
    """after:ID+1 is met one minute after the other job's start."""
    assert outlook(Dependency((Link("after", 1, 1),)), lambda _: RUNNING, now, is_alone=True) is expected


@pytest.mark.parametrize(("is_alone", "expected"), [(True, MET), (False, WAITING)])
def test_outlook_lets_singleton_wait(is_alone: bool, expected: Outlook) -> None:  # noqa: FBT001 -- a row of the table
    """A singleton waits for all earlier jobs of its name."""
    assert outlook(parse_dependency("singleton"), lambda _: NEW, 0.0, is_alone=is_alone) is expected


@pytest.mark.parametrize(
    ("separator", "jobs", "expected"),
    [
        (",", [GOOD, GOOD], MET),
        (",", [GOOD, NEW], WAITING),
        (",", [BAD, NEW], NEVER),
        ("?", [BAD, GOOD], MET),
        ("?", [BAD, NEW], WAITING),
        ("?", [BAD, BAD], NEVER),
    ],
)
def test_outlook_combines(separator: str, jobs: list[Upstream], expected: Outlook) -> None:
    """All conditions must hold with a comma, one with a question mark."""
    dependency = parse_dependency(f"afterok:0{separator}afterok:1")

    assert outlook(dependency, jobs.__getitem__, 0.0, is_alone=True) is expected


@pytest.mark.parametrize(
    ("text", "forgotten", "left"),
    [
        ("afterok:1:2", {3}, "afterok:1:2"),
        ("afterok:1:2", {1}, "afterok:2"),
        ("afterok:1:2", {1, 2}, None),
        ("afterok:1?afterok:2", {1}, None),
        ("afterok:1?afterok:2", {3}, "afterok:1?afterok:2"),
    ],
)
def test_without_takes_forgotten_jobs_as_met(text: str, forgotten: set[int], left: str | None) -> None:
    """What is forgotten counts as met: with a question mark nothing is left to wait for."""
    assert parse_dependency(text).without(forgotten) == (None if left is None else parse_dependency(left))
