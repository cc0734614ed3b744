"""Tests of verdicts on jobs that leave no files behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.job import JobState, JobStatus
from snakemake_executor_plugin_frceapi.listed import ASSUMED_LIMIT_SECONDS, UNKNOWN_END, judge_by_listing
from snakemake_executor_plugin_frceapi.tracker import Graces, History, Outcome

GRACES = Graces(requeue=600.0, kill_wait=264.0)
DAY = GRACES.window
LIMIT = 3600.0
MAY_RETURN = (JobState.REQUEUED, JobState.NODE_FAIL, JobState.PREEMPTED, JobState.BOOT_FAIL)
STEP = 600.0


def seen(*states: JobState | None, step: float = STEP) -> History:
    """The history after listings that showed a job so, one each `step` seconds from time 0 on."""
    history = History()
    for number, state in enumerate(states):
        status = None if state is None else JobStatus("7", state, state.value)
        history = history.with_listing(status, number * step, longest_gap=2 * step)
    return history


def unlisted_for(seconds: float, *before: JobState) -> History:
    """The history of a job that listings show as `before`, and then no longer."""
    return seen(*before, *[None] * (int(seconds / STEP) + 1))


@pytest.mark.parametrize("state", JobState)
def test_believes_the_listing(state: JobState) -> None:
    """COMPLETED is success, what lives is active, and any other final state that Slurm may not revoke is a failure."""
    verdict = judge_by_listing(seen(state), LIMIT, GRACES)

    if state is JobState.COMPLETED:
        assert verdict.outcome is Outcome.SUCCEEDED
    elif state in MAY_RETURN or not state.is_final:
        assert verdict.outcome is Outcome.ACTIVE
    else:
        assert verdict.outcome is Outcome.FAILED


@pytest.mark.parametrize("state", MAY_RETURN)
@pytest.mark.parametrize(("listings", "outcome"), [(1, Outcome.ACTIVE), (2, Outcome.FAILED)])
def test_waits_for_slurm_to_start_a_job_again(state: JobState, listings: int, outcome: Outcome) -> None:
    """After a failure of the node a job fails only when a listing shows it so for the requeue grace."""
    assert judge_by_listing(seen(*[state] * listings), LIMIT, GRACES).outcome is outcome


def test_follows_a_job_that_slurm_starts_again() -> None:
    """What was lost with its node and has come back counts for what it is now."""
    history = seen(JobState.RUNNING, JobState.NODE_FAIL, JobState.PENDING, JobState.RUNNING, JobState.COMPLETED)

    assert judge_by_listing(history, LIMIT, GRACES).outcome is Outcome.SUCCEEDED


def test_concludes_nothing_without_a_listing() -> None:
    """A job of which no listing has come is active."""
    assert judge_by_listing(History(), LIMIT, GRACES).outcome is Outcome.ACTIVE


@pytest.mark.parametrize(
    ("before", "limit", "hours"),
    [
        pytest.param([JobState.RUNNING], LIMIT, 24, id="seen to run"),
        pytest.param([JobState.RUNNING], 40 * LIMIT, 40, id="seen to run with a limit of more than a day"),
        pytest.param([JobState.PENDING], LIMIT, 24 + 1 + 24, id="seen to wait"),
        pytest.param([], LIMIT, 24 + 1 + 24, id="never listed"),
        pytest.param([JobState.RUNNING], None, ASSUMED_LIMIT_SECONDS / 3600, id="without a limit"),
    ],
)
def test_fails_what_no_listing_can_show_any_more(before: list[JobState], limit: float | None, hours: float) -> None:
    """A job that is not listed is active until its start bound, its time limit and a day are over."""
    early = judge_by_listing(unlisted_for(hours * 3600.0 - 2 * STEP, *before), limit, GRACES)
    late = judge_by_listing(unlisted_for(hours * 3600.0 + GRACES.kill_wait + 2 * STEP, *before), limit, GRACES)

    assert early.outcome is Outcome.ACTIVE
    assert (late.outcome, late.reason) == (Outcome.FAILED, UNKNOWN_END)


def test_counts_no_outage() -> None:
    """A time without listings is no time in which a job was not listed."""
    history = unlisted_for(DAY / 2, JobState.RUNNING)
    assert history.listed is not None
    history = history.with_listing(None, history.listed + 100 * DAY, longest_gap=2 * STEP)

    assert judge_by_listing(history, LIMIT, GRACES).outcome is Outcome.ACTIVE


@given(st.lists(st.sampled_from([None, *JobState]), max_size=30), st.none() | st.floats(60, 1e7))
def test_gives_one_verdict_on_whatever_was_seen(states: list[JobState | None], limit: float | None) -> None:
    """Only a job that is listed as COMPLETED has succeeded, and only one in a final state or unlisted has failed."""
    verdict = judge_by_listing(seen(*states), limit, GRACES)
    last = states[-1] if states else None

    assert (verdict.outcome is Outcome.SUCCEEDED) == (last is JobState.COMPLETED)
    if verdict.outcome is Outcome.FAILED:
        assert verdict.reason
        assert last is None or last is JobState.REQUEUED or last.is_final


@given(st.floats(0, 20 * DAY), st.floats(0, 20 * DAY))
def test_takes_back_no_unknown_end(first: float, second: float) -> None:
    """What is not listed for longer is not less overdue."""
    early, late = sorted((first, second))
    short, long = (replace(History(listed=0.0), unlisted_seconds=seconds) for seconds in (early, late))

    if judge_by_listing(short, LIMIT, GRACES).outcome is Outcome.FAILED:
        assert judge_by_listing(long, LIMIT, GRACES).outcome is Outcome.FAILED
