"""Tests of the verdicts: the whole table, written down a second time, and what must hold for any history."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.job import JobState, JobStatus
from snakemake_executor_plugin_frceapi.tracker import (
    LONGEST_LISTING_GAP,
    Cause,
    End,
    Graces,
    History,
    Outcome,
    Verdict,
    is_over,
    judge,
    may_change_by_itself,
)

GRACES = Graces(marker=90.0, requeue=600.0, kill_wait=264.0, window=86_400.0)
LIMIT = 3600.0
SEEN = 1_000_000.0
LONG = 10_000_000.0

ACTIVE, SUCCEEDED = Verdict(Outcome.ACTIVE), Verdict(Outcome.SUCCEEDED)


def an_end(cause: Cause, exit_code: int = 143, restart: int = 0) -> End:
    """An end marker of job 7."""
    return End(
        external_jobid="7",
        restart=restart,
        exit_code=exit_code,
        cause=cause,
        start=100.0,
        end=160.0,
        cpu_seconds=5.0,
    )


def status(state: JobState) -> JobStatus:
    """A row of the listing."""
    return JobStatus("7", state, state.value)


ENDS = {
    "own 0": an_end(Cause.OWN, 0),
    "own 1": an_end(Cause.OWN, 1),
    "signal": an_end(Cause.SIGNAL),
    "cancelled": an_end(Cause.CANCELLED),
    "upstream": an_end(Cause.UPSTREAM, 76),
    "none": None,
}

# How each word of sacct(1) is read; "absent" is a valid listing without the job, "never" is no valid listing so far.
READ_AS = {
    "live": ["PENDING", "RUNNING", "SUSPENDED", "RESIZING", "UNKNOWN"],
    "requeued": ["REQUEUED"],
    "completed": ["COMPLETED"],
    "ended": ["CANCELLED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "REVOKED", "SPECIAL_EXIT"],
    "may return": ["NODE_FAIL", "PREEMPTED", "BOOT_FAIL"],
    "absent": ["absent"],
    "never": ["never"],
}
WORDS = [word for words in READ_AS.values() for word in words]

OWN_FAILURE, CANCELLED = "the job command failed", "it was cancelled"
SIGNALLED = "it was ended by a signal from outside"
UPSTREAM = "an upstream job has not succeeded, so the job command was not begun"
NO_STATUS, ENDED = "it ended without an exit status", "Slurm ended it"
NOT_AGAIN = "Slurm has not started it again"
NOT_BACK = "it was ended by a signal from outside and has not come back"
NO_TRACE = "it was not listed for a whole day and has left no trace"
OVERDUE = "it started, its time limit is over, and it is neither listed nor has it left an exit status"

# (end, read as) -> how long the job stays active after the last news of it (None: for ever), and why it fails then.
TABLE: dict[tuple[str, str], tuple[float | None, str]] = {
    ("signal", "live"): (None, ""),
    ("signal", "requeued"): (None, ""),
    ("signal", "completed"): (90.0, NO_STATUS),
    ("signal", "ended"): (0.0, SIGNALLED),
    ("signal", "may return"): (600.0, NOT_BACK),
    ("signal", "absent"): (600.0, NOT_BACK),
    ("signal", "never"): (None, ""),
    ("none", "live"): (None, ""),
    ("none", "requeued"): (600.0, NOT_AGAIN),
    ("none", "completed"): (90.0, NO_STATUS),
    ("none", "ended"): (90.0, ENDED),
    ("none", "may return"): (600.0, NOT_AGAIN),
    ("none", "never"): (None, ""),
} | {
    (end, read): (0.0, reason)
    for end, reason in (("own 1", OWN_FAILURE), ("cancelled", CANCELLED), ("upstream", UPSTREAM))
    for read in READ_AS
}  # fmt: skip


# What a file is waited for with a clock; everything else takes a listing that says the same again.
BY_THE_CLOCK = {"completed", "ended"}


def listed_again(history: History, word: str, after: float) -> History:
    """The history after another listing that says what the last one said."""
    return history.with_listing(None if word == "absent" else status(JobState[word]), SEEN + after)


def a_history(end: str, word: str) -> History:
    """What is known of a job whose end and listed word both came at `SEEN`."""
    history = History()
    if word != "never":
        history = history.with_listing(None if word == "absent" else status(JobState[word]), SEEN)
    marker = ENDS[end]
    return history if marker is None else history.with_end(marker, SEEN)


def test_reads_every_state() -> None:
    """The table of this test names each state of sacct(1) once."""
    assert sorted(WORDS) == sorted([*(state.name for state in JobState), "absent", "never"])


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("limit", [None, LIMIT])
def test_counts_an_own_exit_of_zero_as_success_whatever_is_listed(word: str, limit: float | None) -> None:
    """The listing cannot turn a success into anything else, at no time."""
    for now in (SEEN, SEEN + 90, SEEN + 600, SEEN + LONG):
        assert judge(a_history("own 0", word), now, limit, GRACES) == SUCCEEDED


@pytest.mark.parametrize(
    ("end", "read", "word"),
    [(end, read, word) for end, read in TABLE for word in READ_AS[read]],
)
def test_gives_the_verdict_of_the_table(end: str, read: str, word: str) -> None:
    """Each combination of end and listed word is active until its grace is over, and fails from then on, or never."""
    grace, reason = TABLE[end, read]
    history = a_history(end, word)
    for limit in (None, LIMIT):
        if grace is None:
            assert [judge(history, SEEN + after, limit, GRACES) for after in (0.0, LONG)] == [ACTIVE, ACTIVE]
            continue
        if grace:
            early = listed_again(history, word, grace - 0.001)
            assert judge(early, SEEN + grace - 0.001, limit, GRACES) == ACTIVE
        if grace and read not in BY_THE_CLOCK:
            assert judge(history, SEEN + LONG, limit, GRACES) == ACTIVE
        for after in (grace, LONG):
            late = history if read in BY_THE_CLOCK or not grace else listed_again(history, word, after)
            assert judge(late, SEEN + after, limit, GRACES) == Verdict(Outcome.FAILED, reason)


def test_covers_every_combination() -> None:
    """The tables of this file leave out nothing but what stands in the two tests below."""
    everything = set(itertools.product(ENDS, READ_AS))

    assert everything - set(TABLE) == {("none", "absent"), *(("own 0", read) for read in READ_AS)}


def test_waits_for_the_time_limit_of_a_job_that_started_and_is_not_listed() -> None:
    """It is given up by a listing after its time limit, KillWait and the requeue grace have passed since its start."""
    history = a_history("none", "RUNNING").with_listing(None, SEEN + 10)
    over = SEEN + LIMIT + 264.0 + 600.0

    assert judge(history, over + LONG, LIMIT, GRACES) == ACTIVE
    assert judge(history.with_listing(None, over - 0.001), over, LIMIT, GRACES) == ACTIVE
    assert judge(history.with_listing(None, over), over, LIMIT, GRACES) == Verdict(Outcome.FAILED, OVERDUE)


def test_waits_for_the_marker_of_an_overdue_job_that_is_listed_no_more() -> None:
    """Who did not look for long, and finds the job gone from the listing, may see its end only after a while."""
    begin = SEEN + LONG
    history = a_history("none", "RUNNING").with_listing(None, begin)

    assert judge(history, begin, LIMIT, GRACES) == ACTIVE
    assert judge(history.with_listing(None, begin + 89.9), begin + 89.9, LIMIT, GRACES) == ACTIVE
    late = history.with_listing(None, begin + 90.0)
    assert judge(late, begin + 90.0, LIMIT, GRACES) == Verdict(Outcome.FAILED, OVERDUE)


@pytest.mark.parametrize(("started", "limit"), [(False, LIMIT), (False, None), (True, None)])
def test_waits_a_day_of_listings_for_a_job_without_a_trace(started: bool, limit: float | None) -> None:  # noqa: FBT001
    """Without a start or a time limit it fails when valid listings have not listed it for a day and the grace."""
    history = History(listed=SEEN, unlisted_seconds=86_489.999, start_seen=SEEN if started else None)

    assert judge(history, SEEN + LONG, limit, GRACES) == ACTIVE
    assert judge(replace(history, unlisted_seconds=86_490.0), SEEN, limit, GRACES) == Verdict(Outcome.FAILED, NO_TRACE)


@pytest.mark.parametrize("word", [word for word in WORDS if word != "never"])
def test_awaits_a_job_that_is_listed_again_after_it_missed_an_upstream_job(word: str) -> None:
    """A listing that came after the end can show that the job waits or runs again; only such a job is active."""
    history = listed_again(a_history("upstream", word), word, 0.001)
    verdict = judge(history, SEEN + LONG, LIMIT, GRACES)

    again = word in READ_AS["live"] or word in READ_AS["requeued"]
    assert verdict == (ACTIVE if again else Verdict(Outcome.FAILED, UPSTREAM))
    own = replace(history, end=an_end(Cause.OWN, 0, restart=1))
    assert judge(own, SEEN + LONG, LIMIT, GRACES) == SUCCEEDED


def test_counts_the_grace_from_the_later_of_end_and_listing() -> None:
    """A job ended by a signal is given the whole requeue grace after the last news of it."""
    end_first = History().with_end(ENDS["signal"], SEEN).with_listing(None, SEEN + 50)  # type: ignore[arg-type]
    listing_first = History().with_listing(None, SEEN).with_end(ENDS["signal"], SEEN + 50)  # type: ignore[arg-type]
    for history in (end_first, listing_first):
        assert judge(history.with_listing(None, SEEN + 649), SEEN + 649, LIMIT, GRACES) == ACTIVE
        late = history.with_listing(None, SEEN + 650)
        assert judge(late, SEEN + 650, LIMIT, GRACES).outcome is Outcome.FAILED


def test_begins_a_grace_anew_when_the_listed_state_changes() -> None:
    """The time in a state counts from the first listing that says so, not from an earlier state."""
    history = a_history("none", "NODE_FAIL").with_listing(status(JobState.PENDING), SEEN + 500)
    history = history.with_listing(status(JobState.NODE_FAIL), SEEN + 590)
    repeated = history.with_listing(status(JobState.NODE_FAIL), SEEN + 700)

    for seen in (history, repeated):
        early, late = (seen.with_listing(status(JobState.NODE_FAIL), SEEN + 590 + after) for after in (599, 600))
        assert judge(early, SEEN + 590 + 599, LIMIT, GRACES) == ACTIVE
        assert judge(late, SEEN + 590 + 600, LIMIT, GRACES).outcome is Outcome.FAILED


def test_forgets_the_start_of_a_job_that_waits_again() -> None:
    """After a requeue the time limit begins anew, so one listing that lacks the job is no reason to give it up."""
    history = a_history("none", "RUNNING").with_listing(status(JobState.PENDING), SEEN + 60)
    again = history.with_listing(status(JobState.RUNNING), SEEN + LONG).with_listing(None, SEEN + LONG + 60)

    assert judge(again, SEEN + LONG + 60, LIMIT, GRACES) == ACTIVE


listings = st.sampled_from([None, *JobState])
gaps = st.floats(0.0, 3 * LONGEST_LISTING_GAP)
ends = st.builds(an_end, st.sampled_from(Cause), st.integers(0, 255), st.integers(0, 5))
events = st.tuples(gaps, st.one_of(listings, ends, st.just("start")))


def told(story: list[tuple[float, object]]) -> tuple[History, float]:
    """The history after some events, each so many seconds after the one before, and the time of the last."""
    history, now = History(), SEEN
    for gap, event in story:
        now += gap
        if isinstance(event, End):
            history = history.with_end(event, now)
        elif event == "start":
            history = history.with_start(now)
        else:
            history = history.with_listing(status(event) if isinstance(event, JobState) else None, now)
    return history, now


stories = st.lists(events, max_size=12).map(told)
limits = st.none() | st.floats(60.0, 1e6)


@given(stories, st.floats(0, LONG), limits)
def test_succeeds_only_with_an_own_exit_of_zero(
    story: tuple[History, float], later: float, limit: float | None
) -> None:
    """Any history gives one verdict, with a reason if and only if it failed; success needs the job's own word."""
    history, now = story
    verdict = judge(history, now + later, limit, GRACES)

    good = history.end is not None and history.end.cause is Cause.OWN and history.end.exit_code == 0
    assert (verdict.outcome is Outcome.SUCCEEDED) == good
    assert (verdict.outcome is Outcome.FAILED) == bool(verdict.reason)


@given(stories, st.floats(0, LONG), limits)
def test_names_all_verdicts_that_time_can_change(
    story: tuple[History, float], later: float, limit: float | None
) -> None:
    """A job that is active and said to stay so without news is active at any later time."""
    history, now = story
    if judge(history, now, limit, GRACES) == ACTIVE and not may_change_by_itself(history):
        assert judge(history, now + later, limit, GRACES) == ACTIVE


@pytest.mark.parametrize(("end", "word"), list(itertools.product(ENDS, WORDS)))
def test_tells_which_combinations_time_changes(end: str, word: str) -> None:
    """Only a job that waits for news alone is left out of the looks between listings."""
    read = next(read for read, words in READ_AS.items() if word in words)
    stays = end == "upstream" or (
        end in ("signal", "none") and (read not in BY_THE_CLOCK or (end, read) == ("signal", "ended"))
    )

    assert may_change_by_itself(a_history(end, word)) is not stays


@pytest.mark.parametrize(("end", "word"), list(itertools.product(ENDS, WORDS)))
def test_is_over_after_an_own_end_or_a_final_state(end: str, word: str) -> None:
    """Whatever else a job recorded, Slurm may start it again until a listing says that it has ended for good."""
    final = word in (*READ_AS["completed"], *READ_AS["ended"])

    assert is_over(a_history(end, word)) == (end in ("own 0", "own 1") or final)


@given(st.lists(st.tuples(gaps, listings), max_size=20))
def test_counts_only_listed_time_as_unlisted(story: list[tuple[float, JobState | None]]) -> None:
    """Unlisted time is the sum of the gaps before listings without the job, outages and the first listing left out."""
    expected = 0.0
    for number, (gap, state) in enumerate(story):
        if state is not None:
            expected = 0.0
        elif number and gap <= 900.0:
            expected += gap
    history, _ = told(list(story))

    assert history.unlisted_seconds == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("gap", "counted"), [(900.0, 900.0), (900.5, 0.0)])
def test_leaves_outages_out_of_the_unlisted_time(gap: float, counted: float) -> None:
    """More than a quarter of an hour between two valid listings is an outage and proves nothing."""
    history = History().with_listing(None, SEEN).with_listing(None, SEEN + gap)

    assert history.unlisted_seconds == counted


@given(st.lists(ends, min_size=1, max_size=6))
def test_lets_the_highest_restart_win(markers: list[End]) -> None:
    """Whatever the order in which ends are seen, the first of those with the highest restart counts."""
    history, _ = told([(1.0, marker) for marker in markers])

    assert history.end == max(markers, key=lambda end: end.restart)


def test_keeps_the_first_start() -> None:
    """A start is noted once, also at the very beginning of the clock."""
    assert History().with_start(0.0).with_start(5.0).start_seen == 0.0
    assert History().with_start(0.0).with_end(an_end(Cause.SIGNAL), 5.0).start_seen == 0.0
    assert History().with_end(an_end(Cause.SIGNAL), 5.0).start_seen == 5.0


def test_changes_no_former_history() -> None:
    """Histories are values: taking a listing into one leaves it as it was."""
    history = History()
    history.with_listing(status(JobState.RUNNING), SEEN)

    assert history == History()


@pytest.mark.parametrize(("start", "end", "seconds"), [(100.0, 160.5, 60.5), (160.0, 100.0, 0.0)])
def test_measures_the_wall_time(start: float, end: float, seconds: float) -> None:
    """The wall time is never negative, whatever a node's clock did."""
    assert replace(an_end(Cause.OWN), start=start, end=end).wall_seconds == seconds
