"""Jobs that wait for other jobs, submitted over HTTP."""

from __future__ import annotations

import pytest

from .conftest import Client, Serve


@pytest.mark.parametrize(
    ("kind", "script", "state"),
    [
        ("afterok", "exit 0", "COMPLETED"),
        ("afterok", "exit 1", "CANCELLED"),
        ("aftercorr", "exit 0", "COMPLETED"),
        ("aftercorr", "exit 1", "CANCELLED"),
        ("afternotok", "exit 0", "CANCELLED"),
        ("afternotok", "exit 1", "COMPLETED"),
        ("afterany", "exit 0", "COMPLETED"),
        ("afterany", "exit 1", "COMPLETED"),
        ("after", "exit 1", "COMPLETED"),
    ],
)
def test_dependent_job_follows_upstream(client: Client, kind: str, script: str, state: str) -> None:
    """Each kind of dependency lets the job run, or cancels it when it can never be met."""
    client.sandbox.hold()
    upstream = client.submit(script)
    job = client.submit(dependency=f"{kind}:{upstream.job_id}")
    assert (job.state, job.pending_reason) == ("PENDING", "Dependency")

    client.sandbox.release()

    assert client.end(job) == state


def test_dependent_job_starts_while_upstream_runs(client: Client) -> None:
    """after: needs the other job's start only."""
    upstream = client.submit("sleep 1000")
    job = client.submit(dependency=f"after:{upstream.job_id}")

    assert client.end(job) == "COMPLETED"
    assert upstream.state == "RUNNING"


def test_dependent_job_waits_for_delay(serve: Serve) -> None:
    """after:ID+1 starts when the clock says that a minute has passed."""
    now = [1_000_000.0]
    client = serve(clock=lambda: now[0])
    upstream = client.submit()
    client.end(upstream)
    job = client.submit(dependency=f"after:{upstream.job_id}+1")
    with pytest.raises(TimeoutError):
        client.sandbox.wait(job.job_id, timeout=0.5)

    now[0] += 61

    assert client.end(job) == "COMPLETED"


def test_dependent_job_waits_for_the_last_process(client: Client) -> None:
    """A cancelled job that takes its time to end holds back what comes after its end."""
    upstream = client.submit("trap 'sleep 0.4; echo over; exit 1' TERM; echo up; while :; do sleep 0.05; done")
    job = client.submit(f"cat {upstream.output}", dependency=f"afterany:{upstream.job_id}")
    client.sandbox.wait(upstream.job_id, "RUNNING")
    while not client.output(upstream):
        pass

    client.sandbox.cancel(upstream.job_id)

    assert client.end(job) == "COMPLETED"
    assert client.output(job) == "up\nover\n"


def test_invalid_dependency_cancels_the_whole_chain(client: Client) -> None:
    """A failure at the head of a long chain cancels all of it."""
    client.sandbox.hold()
    jobs = [client.submit("exit 1")]
    for _ in range(300):
        jobs.append(client.submit(dependency=f"afterok:{jobs[-1].job_id}"))

    client.sandbox.release()

    assert client.end(jobs[-1]) == "CANCELLED"
    assert {job.state for job in jobs[1:]} == {"CANCELLED"}


def test_invalid_dependency_pends_where_it_is_not_killed(serve: Serve) -> None:
    """Without kill_invalid_depend the job stays, for ever."""
    client = serve(kill_invalid_depend=False)
    upstream = client.submit("exit 1")
    job = client.submit(dependency=f"afterok:{upstream.job_id}")
    client.end(upstream)

    assert client.end(client.submit()) == "COMPLETED"
    assert (job.state, job.pending_reason) == ("PENDING", "DependencyNeverSatisfied")


@pytest.mark.parametrize(("separator", "state"), [(",", "CANCELLED"), ("?", "COMPLETED")])
def test_dependencies_combine(client: Client, separator: str, state: str) -> None:
    """A comma asks for all conditions, a question mark for one."""
    client.sandbox.hold()
    good, bad = client.submit("exit 0"), client.submit("exit 1")
    job = client.submit(dependency=f"afterok:{bad.job_id}{separator}afterok:{good.job_id}")

    client.sandbox.release()

    assert client.end(job) == state


def test_singletons_run_one_after_another(serve: Serve) -> None:
    """All jobs of a user have the same name here, so that singletons never overlap."""
    client = serve(cpus=4)
    log = client.sandbox.directory / "log"
    client.sandbox.hold()
    jobs = [client.submit(f"echo in >>{log}; sleep 0.1; echo out >>{log}", dependency="singleton") for _ in range(4)]
    client.sandbox.release()

    assert {client.end(job) for job in jobs} == {"COMPLETED"}
    assert log.read_text(encoding="utf-8").split() == ["in", "out"] * 4


def test_unknown_dependency_is_refused(client: Client) -> None:
    """Ids that are not known make the submission fail, as do malformed expressions."""
    assert client.refusal(dependency="afterok:999999") == "backend_query_job_submission_failed"
    assert client.refusal(dependency="afterok:1,after:2?after:3") == "backend_query_job_submission_failed"


def test_unknown_dependency_is_dropped_where_told_so(serve: Serve) -> None:
    """The condition vanishes silently; what else the job waits for stays."""
    client = serve(unknown_dependency="drop")
    client.sandbox.hold()
    known = client.submit("exit 1")
    free = client.submit(dependency="afterok:999999")
    bound = client.submit(dependency=f"afterok:999999:{known.job_id}")
    client.sandbox.release()

    assert client.end(free) == "COMPLETED"
    assert client.end(bound) == "CANCELLED"


def test_forgotten_dependency_is_refused(serve: Serve) -> None:
    """An id that ended longer ago than MinJobAge is not known any more."""
    now = [1_000_000.0]
    client = serve(clock=lambda: now[0])
    upstream = client.submit()
    client.end(upstream)

    now[0] += 300
    assert client.end(client.submit(dependency=f"afterok:{upstream.job_id}")) == "COMPLETED"
    now[0] += 1
    assert client.refusal(dependency=f"afterok:{upstream.job_id}") == "backend_query_job_submission_failed"


def test_cancelled_job_waits_no_longer(client: Client) -> None:
    """A job that is cancelled while it waits does not come back when its condition is met."""
    client.sandbox.hold()
    upstream = client.submit()
    job = client.submit("echo ran", dependency=f"afterany:{upstream.job_id},singleton,after:{upstream.job_id}+0")
    client.sandbox.cancel(job.job_id)
    client.sandbox.release()
    client.end(upstream)

    assert client.end(client.submit()) == "COMPLETED"
    assert (job.state, client.output(job)) == ("CANCELLED", "")
