"""Tests of the circuit breaker: what is a fault of the site, by tables; when it opens and closes, by properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.breaker import (
    LOST,
    TRIPS_AFTER,
    CircuitBreaker,
    SiteFault,
    Stage,
    fault_of_end,
    fault_of_refusal,
)
from snakemake_executor_plugin_frceapi.job import JobState, Refused
from snakemake_executor_plugin_frceapi.tracker import Cause, End, History

REFUSED = SiteFault(Stage.SUBMISSION, "bad_partition", "choose another one")
UNSEEN = SiteFault(Stage.START, "FAILED", "no trace")
NO_DIRECTORY = SiteFault(Stage.START, "72", "could not enter", "n1")
STAFF = "; or ask the cluster's staff to look at that node"
SAID = ["frceapi: cannot enter the working directory /data on n1"]


def end(exit_code: int, cause: Cause = Cause.OWN) -> End:
    """An end marker."""
    return End(external_jobid="1", restart=0, exit_code=exit_code, cause=cause, start=0, end=1, cpu_seconds=0)


def opened(*faults: SiteFault) -> CircuitBreaker:
    """A breaker that has seen these faults."""
    breaker = CircuitBreaker()
    for fault in faults:
        breaker.note_fault(fault)
    return breaker


# What counts as a fault of the site -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [None, *JobState])
def test_takes_an_end_without_a_trace_for_a_fault_of_the_site(state: JobState | None) -> None:
    """A job that ended by itself and left nothing could not begin; one that was ended on purpose, or is alive, may."""
    counted = {"FAILED", "COMPLETED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL"}
    fault = fault_of_end(History(state=state), None, [])

    assert (fault.key if fault else None) == (state.value if state and state.value in counted else None)
    assert fault is None or (fault.stage is Stage.START and f"listed as {fault.key}" in fault.text)


@pytest.mark.parametrize("state", list(JobState))
def test_takes_nothing_that_began_for_a_fault_of_the_site(state: JobState) -> None:
    """A job that has recorded its start was begun, whatever became of it."""
    assert fault_of_end(History(state=state), "n1", []) is None
    assert fault_of_end(History(state=state, end=end(143, Cause.SIGNAL)), "n1", []) is None
    assert fault_of_end(History(state=state, end=end(1)), "n1", []) is None


@pytest.mark.parametrize(
    ("exit_code", "cause", "last_lines", "counts"),
    [
        (72, Cause.OWN, SAID, True),
        (73, Cause.OWN, ["frceapi: cannot make a TMPDIR in /scratch on n1; see --frceapi-scratch"], True),
        (74, Cause.OWN, ["before", "frceapi: cannot read the environment file /e on n1"], True),
        (72, Cause.OWN, [], True),
        (72, Cause.OWN, [*SAID, "but a command had the last word"], False),
        (72, Cause.OWN, ["exit 72"], False),
        (72, Cause.SIGNAL, SAID, False),
        (72, Cause.CANCELLED, SAID, False),
        (0, Cause.OWN, SAID, False),
        (1, Cause.OWN, SAID, False),
        (66, Cause.OWN, SAID, False),
        (75, Cause.OWN, SAID, False),
    ],
)
def test_takes_the_run_scripts_own_exit_codes_for_faults_of_the_site(
    exit_code: int, cause: Cause, last_lines: list[str], *, counts: bool
) -> None:
    """Exit codes of the run script count where its own line is the last of the log, or where there is no log."""
    fault = fault_of_end(History(end=end(exit_code, cause)), "n1", last_lines)

    assert (fault is not None) is counts
    assert fault is None or (fault.key, fault.node, fault.stage) == (str(exit_code), "n1", Stage.START)


def test_tells_refusals_apart_by_their_code() -> None:
    """What the API said is what the user reads."""
    fault = fault_of_refusal(Refused("bad_partition", "the service refused the job (bad_partition): choose another"))

    assert (fault.stage, fault.key) == (Stage.SUBMISSION, "bad_partition")
    assert fault.text == "the service refused the job (bad_partition): choose another"


# When it opens and closes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [REFUSED, UNSEEN, NO_DIRECTORY, LOST])
def test_opens_after_five_faults_of_one_kind(fault: SiteFault) -> None:
    """Four may be chance."""
    breaker = opened(*[fault] * (TRIPS_AFTER - 1))
    assert not breaker.is_open

    breaker.note_fault(fault)
    assert breaker.is_open


def test_stays_closed_where_faults_differ() -> None:
    """Four of each of three kinds are no five of one."""
    breaker = opened(*[REFUSED, UNSEEN, NO_DIRECTORY] * (TRIPS_AFTER - 1))
    assert not breaker.is_open

    breaker.note_fault(UNSEEN)
    assert breaker.is_open


@pytest.mark.parametrize(
    ("fault", "sign", "counts_anew"),
    [
        (REFUSED, "acceptance", True),
        (LOST, "acceptance", True),
        (UNSEEN, "acceptance", False),
        (REFUSED, "begin", True),
        (UNSEEN, "begin", True),
        (NO_DIRECTORY, "begin", True),
    ],
)
def test_counts_anew_after_a_job_that_says_otherwise(fault: SiteFault, sign: str, *, counts_anew: bool) -> None:
    """A job that the API took refutes refusals; one that began refutes everything."""
    breaker = opened(*[fault] * (TRIPS_AFTER - 1))
    getattr(breaker, f"note_{sign}")()
    breaker.note_fault(fault)

    assert breaker.is_open is not counts_anew


def test_closes_on_trial_when_a_job_begins() -> None:
    """After a job that began, one more fault of the same kind opens it again; of another kind five are needed."""
    breaker = opened(*[UNSEEN] * 40)
    breaker.note_begin()
    assert not breaker.is_open
    for _ in range(TRIPS_AFTER - 1):
        breaker.note_fault(NO_DIRECTORY)
    assert not breaker.is_open

    breaker.note_fault(UNSEEN)
    assert breaker.is_open


def test_ends_the_trial_with_a_second_job_that_begins() -> None:
    """Then five faults are needed again."""
    breaker = opened(*[UNSEEN] * TRIPS_AFTER)
    breaker.note_begin()
    breaker.note_begin()
    for _ in range(TRIPS_AFTER - 1):
        breaker.note_fault(UNSEEN)

    assert not breaker.is_open


def test_stays_open_when_the_api_takes_a_job_that_may_not_begin() -> None:
    """What is wrong with starts is not mended by a submission."""
    breaker = opened(*[UNSEEN] * TRIPS_AFTER)
    breaker.note_acceptance()
    assert breaker.is_open

    refused = opened(*[REFUSED] * TRIPS_AFTER)
    refused.note_acceptance()
    assert not refused.is_open


_NOTES = st.lists(st.sampled_from([REFUSED, UNSEEN, NO_DIRECTORY, LOST, "acceptance", "begin"]), max_size=60)


@given(_NOTES)
def test_opens_only_where_five_alike_have_failed_in_a_row(notes: list[SiteFault | str]) -> None:
    """While it was never open, it opens with the fifth fault of a kind since the last job that refutes that kind."""
    breaker, since = CircuitBreaker(), dict.fromkeys([REFUSED, UNSEEN, NO_DIRECTORY, LOST], 0)
    for note in notes:
        if isinstance(note, SiteFault):
            breaker.note_fault(note)
            since[note] += 1
        else:
            getattr(breaker, f"note_{note}")()
            since = {
                fault: count if note == "acceptance" and fault.stage is Stage.START else 0
                for fault, count in since.items()
            }
        assert breaker.is_open is (max(since.values()) >= TRIPS_AFTER)
        if breaker.is_open:
            return


@given(_NOTES)
def test_is_closed_by_every_job_that_begins(notes: list[SiteFault | str]) -> None:
    """Whatever came before: no run is stopped whose jobs begin."""
    breaker = CircuitBreaker()
    for note in notes:
        if isinstance(note, SiteFault):
            breaker.note_fault(note)
        else:
            getattr(breaker, f"note_{note}")()
    breaker.note_begin()

    assert not breaker.is_open


# What the user reads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ([REFUSED] * 5, "The last 5 jobs were not submitted: choose another one"),
        ([UNSEEN] * 7, "The last 7 jobs ended before they started: no trace"),
        (
            [NO_DIRECTORY] * 5,
            f"The last 5 jobs ended before they started (on n1): could not enter{STAFF}",
        ),
        (
            [replace(NO_DIRECTORY, node=f"n{number % 2}") for number in range(5)],
            "The last 5 jobs ended before they started (on n0, n1): could not enter",
        ),
        (
            [replace(NO_DIRECTORY, node=f"n{number}") for number in range(500)],
            "The last 500 jobs ended before they started (on n0, n1, n2 and others): could not enter",
        ),
    ],
)
def test_says_why_in_one_line(faults: list[SiteFault], message: str) -> None:
    """The line has the number of jobs, what happened, where, and the remedy."""
    assert opened(*faults).message() == message
