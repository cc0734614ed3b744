"""Tests of Slurm dependency expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.dependency import Condition, Dependency, Kind, combine, parse
from snakemake_executor_plugin_frceapi.errors import JobError

numbers = st.integers(1, 9_999_999_999).map(str)
conditions = st.builds(Condition, st.sampled_from(Kind), numbers) | st.builds(
    Condition, st.just(Kind.AFTER), numbers, st.integers(0, 999_999_999)
)
dependencies = st.builds(Dependency, st.lists(conditions, min_size=1, max_size=6).map(tuple)) | st.builds(
    Dependency, st.lists(conditions, min_size=2, max_size=6).map(tuple), st.just(True)
)
texts = st.text() | st.text("afterokny:,?+0123456789 \n", max_size=40) | dependencies.map(str)


def ok(*jobids: str) -> tuple[Condition, ...]:
    """Conditions that jobs have ended well."""
    return tuple(Condition(Kind.AFTEROK, jobid) for jobid in jobids)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("afterok:101", ok("101")),
        ("afterok:101:102", ok("101", "102")),
        ("after:101", (Condition(Kind.AFTER, "101"),)),
        ("after:101+5", (Condition(Kind.AFTER, "101", 5),)),
        ("after:101+5:102+10", (Condition(Kind.AFTER, "101", 5), Condition(Kind.AFTER, "102", 10))),
        ("after:101:102+10", (Condition(Kind.AFTER, "101"), Condition(Kind.AFTER, "102", 10))),
        ("afterok:1,afterany:2", (*ok("1"), Condition(Kind.AFTERANY, "2"))),
        ("afterok:1:2,aftercorr:2,afterok:3", (*ok("1", "2"), Condition(Kind.AFTERCORR, "2"), *ok("3"))),
    ],
)
def test_reads_what_sbatch_documents(text: str, expected: tuple[Condition, ...]) -> None:
    """Each form of sbatch(1) says which job must have done what, and is written as it was."""
    assert parse(text) == Dependency(expected)
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "expected", "written"),
    [
        (
            "afternotok:1?aftercorr:2?after:3+4",
            (Condition(Kind.AFTERNOTOK, "1"), Condition(Kind.AFTERCORR, "2"), Condition(Kind.AFTER, "3", 4)),
            "afternotok:1?aftercorr:2?after:3+4",
        ),
        (
            "afterok:20:21?afterany:23",
            (*ok("20", "21"), Condition(Kind.AFTERANY, "23")),
            "afterok:20?afterok:21?afterany:23",
        ),
        ("afterok:1?afterok:1", ok("1", "1"), "afterok:1?afterok:1"),
    ],
)
def test_reads_alternatives(text: str, expected: tuple[Condition, ...], written: str) -> None:
    """With '?' each job alone is enough, also within one clause, as sbatch(1) has it."""
    assert parse(text) == Dependency(expected, any_of=True)
    assert str(parse(text)) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [("afterok:1,afterok:2", "afterok:1:2"), ("after:1+0:2+00", "after:1:2"), ("after:1+007", "after:1+7")],
)
def test_writes_the_shortest_form(text: str, written: str) -> None:
    """Clauses of one kind are joined and numbers are plain, which leaves more of a request to other values."""
    assert str(parse(text)) == written


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("singleton", "same name"),
        ("afterok:1,singleton", "same name"),
        ("afterok:1,afterany:2?after:3", "mixes"),
        ("", "not understood"),
        ("101", "not understood"),
        ("afterok", "not understood"),
        ("afterok:", "not understood"),
        ("afterok:0", "not understood"),
        ("afterok:x", "not understood"),
        ("afterok:1+5", "not understood"),
        ("afterok: 1", "not understood"),
        (" afterok:1", "not understood"),
        ("afterok:1\n", "not understood"),
        ("afterok:1,", "not understood"),
        ("afterok:1,,afterok:2", "not understood"),
        ("AFTEROK:1", "not understood"),
        ("afterok:\u0661", "not understood"),
        ("expand:1", "not understood"),
        ("afterok:1;reboot", "not understood"),
    ],
)
def test_refuses_the_rest_with_a_reason(text: str, reason: str) -> None:
    """Anything else is refused in one line that shows the text and says why."""
    with pytest.raises(JobError, match=reason) as caught:
        parse(text)

    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


def read_or_refused(text: str) -> Dependency | str:
    """What an expression says, or why it is none."""
    try:
        return parse(text)
    except JobError as error:
        return str(error)


@given(dependencies)
def test_reads_what_it_writes(dependency: Dependency) -> None:
    """The text of any dependency is read back as that dependency."""
    assert parse(str(dependency)) == dependency


@given(texts)
@example("afterok:1\n")
@example("afterok:1,?afterok:2")
def test_reads_or_refuses_any_text(text: str) -> None:
    """Any text is an expression of harmless characters or an error of one line, and nothing else."""
    read = read_or_refused(text)
    if isinstance(read, str):
        assert repr(text) in read
        assert "\n" not in read
        return

    assert parse(str(read)) == read
    assert set(str(read)) <= set("abcdefghijklmnopqrstuvwxyz0123456789:,?+")
    assert read.jobids() <= set(re.findall("[0-9]+", text))


@pytest.mark.parametrize(
    ("text", "jobids", "needed"),
    [
        ("afterok:1:2,aftercorr:3", {"1", "2", "3"}, {"1", "2", "3"}),
        ("after:1+5,afterany:2,afternotok:3,afterok:4", {"1", "2", "3", "4"}, {"4"}),
        ("afterok:1?afterok:2", {"1", "2"}, set()),
        ("afterany:1,afterok:1", {"1"}, {"1"}),
    ],
)
def test_names_the_jobs_that_it_waits_for(text: str, jobids: set[str], needed: set[str]) -> None:
    """All of them, and those without whose success the job must not begin."""
    assert parse(text).jobids() == jobids
    assert parse(text).must_succeed() == needed


@pytest.mark.parametrize(
    ("text", "met", "left"),
    [
        ("afterok:1:2,afterany:3", set(), "afterok:1:2,afterany:3"),
        ("afterok:1:2,afterany:3", {"1", "9"}, "afterok:2,afterany:3"),
        ("afterok:1:2,afterany:3", {"1", "2"}, "afterany:3"),
        ("afterok:1,after:1+5", {"1"}, None),
        ("afterok:1?afterok:2", {"9"}, "afterok:1?afterok:2"),
        ("afterok:1?afterok:2", {"2"}, None),
    ],
)
def test_leaves_out_what_is_met(text: str, met: set[str], left: str | None) -> None:
    """What is met need not be waited for; where one of several is enough, nothing is left then."""
    expected = parse(left) if left else None

    assert parse(text).without(met) == expected


@given(dependencies, st.sets(numbers), st.data())
def test_names_nothing_that_it_was_to_leave_out(dependency: Dependency, others: set[str], data: st.DataObject) -> None:
    """Whatever is left out is not named any more, and all other jobs are unless nothing is left to wait for."""
    met = others | data.draw(st.sets(st.sampled_from(sorted(dependency.jobids()))))
    left = dependency.without(met)

    named = dependency.jobids()
    assert (left is None) == (bool(named & met) if dependency.any_of else named <= met)
    assert left is None or left.jobids() == named - met


@pytest.mark.parametrize(
    ("asked", "jobids", "joined"),
    [
        (None, [], None),
        (None, ["5", "6", "5"], "afterok:5:6"),
        ("afterany:1", [], "afterany:1"),
        ("afterany:1", ["5", "6"], "afterany:1,afterok:5:6"),
        ("afterok:1", ["5"], "afterok:1:5"),
        ("afterok:1:5,after:6+3", ["5", "6", "7"], "afterok:1:5,after:6+3,afterok:6:7"),
        ("afterok:1?afterok:2", [], "afterok:1?afterok:2"),
    ],
)
def test_joins_the_jobs_that_make_inputs(asked: str | None, jobids: list[str], joined: str | None) -> None:
    """The jobs that make a job's inputs must end well as well as all that its rule asks for; none is named twice."""
    combined = combine(parse(asked) if asked else None, jobids)

    assert (str(combined) if combined else None) == joined


def test_refuses_to_join_alternatives() -> None:
    """An expression with '?' is an error in one line that shows both and says what to change."""
    with pytest.raises(JobError) as caught:
        combine(parse("afterok:1?afterany:2"), ["5", "6"])

    message = str(caught.value)
    assert "'afterok:1?afterany:2'" in message
    assert "'afterok:5:6'" in message
    assert "join its clauses by ','" in message
    assert "\n" not in message


@given(st.none() | dependencies.filter(lambda dependency: not dependency.any_of), st.lists(numbers))
def test_joins_without_loss(asked: Dependency | None, jobids: list[str]) -> None:
    """All conditions of a rule stay, each job that makes inputs must succeed, and the result can be sent."""
    combined = combine(asked, jobids)
    if combined is None:
        assert asked is None
        assert not jobids
        return

    assert combined.must_succeed() == set(jobids) | (asked.must_succeed() if asked else set())
    assert combined.conditions[: len(asked.conditions) if asked else 0] == (asked.conditions if asked else ())
    assert parse(str(combined)) == combined
