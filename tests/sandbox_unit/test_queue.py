"""The queue, the node, the timers, and how they bear many jobs."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.sandbox import Job, Partition
from snakemake_executor_plugin_frceapi.sandbox.queue import JobQueue, Node, Share
from snakemake_executor_plugin_frceapi.sandbox.rules import Submission
from snakemake_executor_plugin_frceapi.sandbox.timers import Timers

from .conftest import Serve

OPEN = Partition(name="open")
CAPPED = Partition(name="capped", max_cpus=3)


def job_of(job_id: int) -> Job:
    """A job that is good for a queue."""
    submission = Submission(script="#!/bin/sh\n", partition="open")
    here = Path()
    return Job(job_id=job_id, submission=submission, partition=OPEN, directory=here, output=here, submitted_at=0.0)


shares = st.builds(
    lambda partition, cpus, mem_mb: Share(partition, cpus, cpus, mem_mb),
    st.sampled_from([OPEN, CAPPED]),
    st.integers(1, 5),
    st.integers(1, 5),
)


@given(st.lists(shares, max_size=30), st.sets(st.integers(0, 29)))
def test_queue_gives_lowest_id_that_fits(asked: list[Share], withdrawn: set[int]) -> None:
    """At each step it is the first job in order of ids for which there is room."""
    queue, node = JobQueue(), Node(4, 4)
    for job_id in reversed(range(len(asked))):
        queue.push(job_of(job_id), asked[job_id])
    left = dict(enumerate(asked))
    for job_id in withdrawn & set(left):
        queue.discard(job_of(job_id))
        del left[job_id]

    while found := queue.pop_first(node):
        job, share = found
        assert job.job_id == min(other for other, asks in left.items() if node.fits(asks))
        assert left.pop(job.job_id) == share
        node.take(share)

    assert not any(node.fits(share) for share in left.values())


@given(st.lists(shares, max_size=10))
def test_node_gets_back_what_it_gave(asked: list[Share]) -> None:
    """After all shares are given back everything is free."""
    node = Node(4, 4)
    for share in asked:
        node.take(share)
    for share in asked:
        node.give_back(share)

    assert (node.free_cpus, node.free_mem_mb) == (4, 4)
    assert node.fits(Share(CAPPED, 3, 3, 1))


def test_timers_run_in_order_of_time() -> None:
    """What is due is done, earliest first, equal times in order of arrival; the rest stays."""
    timers, done = Timers(), list[str]()
    for due, name in [(3.0, "late"), (1.0, "first"), (2.0, "third"), (1.0, "second")]:
        timers.add(due, lambda name=name: done.append(name))  # type: ignore[misc]  # mypy cannot infer a default of a lambda

    timers.run_due(2.0)
    assert (done, timers.next_due()) == (["first", "second", "third"], 3.0)
    timers.run_due(3.0)
    assert timers.next_due() is None


def test_thousand_jobs_run(serve: Serve) -> None:
    """Many jobs, half of them dependent on the one before, all run and are all listed."""
    client = serve(cpus=8)
    jobs = [client.submit()]
    for number in range(999):
        jobs.append(client.submit(dependency=f"afterok:{jobs[-1].job_id}" if number % 2 else None))

    assert {client.end(job) for job in jobs} == {"COMPLETED"}
    assert len(client.rows()) == 1000
