"""Rows 15, 17 and 40 of the fault matrix: a service that is busy, broken or away, for seconds or for days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TransientFault
from snakemake_executor_plugin_frceapi.job import JobState, NotSent, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.outage import GaveUp
from snakemake_executor_plugin_frceapi.retry import MAX_RETRY_AFTER_SECONDS, parse_retry_after
from snakemake_executor_plugin_frceapi.wire import Answer, decode_listing, decode_submission
from tests.faults.stepped import INTERVAL_SECONDS, SteppedRun

MakeRun = Callable[..., SteppedRun]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONGEST_BACKOFF_SECONDS = 60.0
DAY = 86_400.0
MANY = [f"job-{number}" for number in range(40)]


def date(seconds: float) -> str:
    """An HTTP date so many seconds from now."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


def answer(status_code: int, retry_after: str = "") -> Answer:
    """An answer that is no listing and no job id."""
    seconds = parse_retry_after(retry_after, NOW)
    return Answer(status_code, "text/html", b"<html>", location="status.example.org", retry_after_seconds=seconds)


def fault(away: Answer | ServiceError) -> ServiceError:
    """What a status request raises."""
    if isinstance(away, ServiceError):
        return away
    with pytest.raises(ServiceError) as raised:
        decode_listing(away)
    return raised.value


def outcome(away: Answer | ServiceError) -> SubmitOutcome:
    """What becomes of a submission."""
    return NotSent(away) if isinstance(away, ServiceError) else decode_submission(away)


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        ("120", 120, 120),
        (date(120), 120, 120),
        ("0", 0.5, 1),
        (date(-3600), 0.5, 1),
        ("31536000", MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS),
        (date(31536000), MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS),
        ("9" * 5000, MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS),
        ("", 0.5, 1),
        ("soon", 0.5, 1),
        ("-1", 0.5, 1),
        ("Mon, 99 Foo 2026 25:61:61 GMT", 0.5, 1),
    ],
)
def test_row_15_slows_all_submissions_down_for_as_long_as_the_service_asks(
    retry_after: str, least: float, most: float, stepped: MakeRun
) -> None:
    """After one 429 no connection posts before the time is over, which is minutes at most; then every job is sent."""
    run = stepped()
    run.service.answer = outcome(answer(429, retry_after))
    run.submit(*MANY)
    assert len(run.service.posted) == 1
    run.service.answer = None
    run.step(least - 0.01)
    assert len(run.service.posted) == 1

    run.step(most - least + 0.02)
    assert sorted(run.ended("submitted")) == sorted(MANY)
    assert len(run.service.posted) == len(MANY) + 1


@pytest.mark.parametrize("status_code", [408, 429, 500, 502, 503, 504])
def test_row_17_asks_a_broken_service_less_often_and_soon_enough(status_code: int, stepped: MakeRun) -> None:
    """Pauses grow up to a minute and differ; nothing is concluded meanwhile; the service's return is noticed soon."""
    run = stepped()
    (item,) = run.submit("a")
    run.service.lists(JobState.RUNNING, item.external_jobid)
    run.steps(30)
    history, run.service.fault = item.history, fault(answer(status_code))
    begin = len(run.service.asked)
    run.steps(3600)
    pauses = [later - earlier for earlier, later in pairwise(run.service.asked[begin:])]
    assert item.history == history
    assert run.events == [("submitted", "a")]
    assert min(pauses) >= INTERVAL_SECONDS
    assert max(pauses) <= LONGEST_BACKOFF_SECONDS + 1
    assert len(pauses) <= 3600 / (LONGEST_BACKOFF_SECONDS / 2) + 5
    assert len(set(pauses[10:])) > 5

    run.service.fault, back = None, run.now
    run.service.lists(JobState.SUSPENDED, item.external_jobid)
    run.steps(LONGEST_BACKOFF_SECONDS + 1)
    assert item.history.state is JobState.SUSPENDED
    assert item.history.state_seen - back <= LONGEST_BACKOFF_SECONDS
    assert len([line for line in run.said if "is tried again" in line or "used again" in line]) == 2


def test_row_17_asks_no_sooner_than_a_status_request_was_told(stepped: MakeRun) -> None:
    """``Retry-After`` counts for status requests as well."""
    run = stepped()
    run.service.fault = fault(answer(503, "200"))
    run.submit("a")
    run.steps(500)

    assert [later - earlier for earlier, later in pairwise(run.service.asked)] == [200, 200]


def test_row_16_slows_submissions_down_that_get_no_answer(stepped: MakeRun) -> None:
    """A service that answers every submission with an error is not sent the whole queue in a second."""
    run = stepped()
    run.service.answer = outcome(answer(503))
    assert isinstance(run.service.answer, Unknown)
    run.submit(*MANY)
    run.steps(50)

    assert 3 <= len(run.service.posted) <= 10


def test_row_16_obeys_a_service_that_may_have_taken_the_job(stepped: MakeRun) -> None:
    """``Retry-After`` beside an error slows all submissions down, though nobody knows what became of the first."""
    run = stepped()
    run.service.answer = outcome(answer(503, "200"))
    run.submit(*MANY)
    run.steps(199)
    assert len(run.service.posted) == 1

    run.service.answer = None
    run.steps(200)
    assert sorted(run.ended("submitted")) == sorted(MANY)


AWAY: dict[str, Answer | ServiceError] = {
    "status code 503": answer(503),
    "status code 503 until tomorrow": answer(503, "86400"),
    "a page in place of the API": answer(200),
    "a redirect to a page": answer(302),
    "no connection": TransientFault("cannot reach the API"),
    "certificate of another server": ConfigurationFault("its certificate is not trusted"),
}


@pytest.mark.parametrize("away", AWAY)
def test_row_40_waits_for_the_end_of_a_maintenance_of_three_days(away: str, stepped: MakeRun) -> None:
    """No job is lost, none runs twice and none fails, whatever became of it; what was not sent is sent at the end."""
    run = stepped(outage_hours=100)
    ends, runs, waits, forgotten = items = run.submit("ends", "runs", "waits", "forgotten")
    run.service.lists(JobState.RUNNING, ends.external_jobid, runs.external_jobid)
    run.service.lists(JobState.PENDING, waits.external_jobid, forgotten.external_jobid)
    for item in (ends, runs):
        run.starts(item)
    run.steps(60)
    run.service.fault, run.service.answer = fault(AWAY[away]), outcome(AWAY[away])
    (late,) = run.submit("late")
    run.steps(DAY, every=30)
    run.ends(ends)
    run.steps(2 * DAY, every=30)
    assert run.ended("succeeded") == ["ends"]
    assert set(run.run.live) >= {runs, waits, forgotten}

    run.service.fault = run.service.answer = None
    del run.service.listed[forgotten.external_jobid or ""]
    run.steps(1200, every=10)
    assert run.ended("failed") == []
    assert run.ended("submitted") == [*(item.token for item in items), "late"]
    for item in (runs, waits, forgotten, late):
        run.ends(item)
    run.step(1)
    assert sorted(run.ended("succeeded")) == ["ends", "forgotten", "late", "runs", "waits"]
    assert len([line for line in run.said if "is tried again" in line]) == 1
    assert [line for line in run.said if "used again" in line] == ["The API can be used again, after 72.0 h."]


@pytest.mark.parametrize("away", AWAY)
def test_row_40_gives_up_when_a_maintenance_lasts_longer_than_the_user_wants_to_wait(
    away: str, stepped: MakeRun
) -> None:
    """After the hours of --frceapi-outage-tolerance, and not before, the run ends and leaves the jobs alone."""
    run = stepped(outage_hours=24)
    (item,) = run.submit("a")
    run.steps(60)
    run.service.fault = fault(AWAY[away])
    run.steps(DAY, every=60)
    with pytest.raises(GaveUp, match=r"query_status has worked for 24\.\d h \(--frceapi-outage-tolerance 24\)"):
        run.steps(600)

    assert run.run.live == [item]
    assert (run.events, run.order(item)) == ([("submitted", "a")], "run")
