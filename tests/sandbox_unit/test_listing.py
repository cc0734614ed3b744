"""The 24 hours of query_status."""

from __future__ import annotations

import pytest

from .conftest import Serve

DAY = 24 * 3600
START = 1_700_000_000.0


@pytest.mark.parametrize(("window_by", "active_is_listed"), [("end", True), ("submission", False)])
def test_listing_forgets_after_a_day(serve: Serve, window_by: str, active_is_listed: bool) -> None:  # noqa: FBT001 -- a row
    """An ended job leaves the listing 24 hours later; an active one stays where the end defines the window."""
    now = [START]
    client = serve(clock=lambda: now[0], window_by=window_by)
    ended = client.submit()
    client.end(ended)
    client.sandbox.hold()
    active = client.submit()

    now[0] = START + DAY
    assert set(client.rows()) == {str(ended.job_id), str(active.job_id)}
    now[0] += 1
    assert set(client.rows()) == ({str(active.job_id)} if active_is_listed else set())


def test_end_of_running_job_is_its_limit(serve: Serve) -> None:
    """As documented: a running job's end is its start and its time limit."""
    client = serve(clock=lambda: START)
    job = client.submit("sleep 1000", timelimit="00-01:00:00")
    later = client.submit("sleep 1000", timelimit="00-02:00:00")
    client.sandbox.wait(job.job_id, "RUNNING")
    client.sandbox.wait(later.job_id, "RUNNING")

    rows = client.rows()

    assert rows[str(job.job_id)]["start"] == rows[str(later.job_id)]["start"]
    assert (job.ended_at, job.time_limit_s) == (None, 3600)
    assert rows[str(job.job_id)]["start"] < rows[str(job.job_id)]["end"] < rows[str(later.job_id)]["end"]


def test_times_of_pending_job_are_unknown(serve: Serve) -> None:
    """A job that has not started has neither start nor end."""
    client = serve()
    client.sandbox.hold()
    job = client.submit()

    row = client.rows()[str(job.job_id)]

    assert (row["start"], row["end"], row["state"]) == ("Unknown", "Unknown", "PENDING")
