"""Tests of jobs that are cancelled by somebody else than the Snakemake that has submitted them."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.cancel import LARGEST_SLURM_JOBID, helper_script
from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.job import Accepted, JobRequest, JobState, JobStatus, Listing, SubmitOutcome
from snakemake_executor_plugin_frceapi.overview import Workplace
from snakemake_executor_plugin_frceapi.withdrawal import Withdrawal

SANDBOX = str(LARGEST_SLURM_JOBID + 1)


class Service:
    """A service that lists states, and on which a helper ends what it names."""

    def __init__(self, **states: JobState) -> None:
        self.states = {name.removeprefix("j"): state for name, state in states.items()}
        self.scripts: list[str] = []

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Take a helper, which works at once."""
        self.scripts.append(body.decode())
        self.states |= dict.fromkeys(set(body.decode().split()) & self.states.keys(), JobState.CANCELLED)
        return Accepted("999")

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:
        """List the states."""
        rows = {jobid: JobStatus(jobid, state, state.value, partition="gpu") for jobid, state in self.states.items()}
        return Listing({jobid: row for jobid, row in rows.items() if wanted is None or jobid in wanted})


def encode(request: JobRequest, script: str) -> bytes:
    """Write a helper down."""
    return f"{request.partition}: {script}".encode()


def withdrawal(service: Service, top: Path) -> Withdrawal:
    """A command in a directory without runs."""
    return Withdrawal(service, Workplace(top / ".snakemake"), encode)


def test_ends_a_job_of_another_directory_from_within_the_cluster(tmp_path: Path) -> None:
    """Where there is no run directory a small job runs scancel, and what is watched is the listing."""
    service = Service(j101=JobState.RUNNING, j102=JobState.RUNNING)
    command = withdrawal(service, tmp_path)

    assert command.cancel(command.named(["101", "101"]), 60.0) == []
    assert service.scripts == [f"short: {helper_script(['101'])}"]
    assert service.states["102"] is JobState.RUNNING
    assert list(tmp_path.iterdir()) == []


def test_chooses_what_waits_in_the_queue(tmp_path: Path) -> None:
    """All of the user's that wait, and none that runs."""
    service = Service(j101=JobState.RUNNING, j102=JobState.PENDING, j103=JobState.PENDING, j104=JobState.COMPLETED)

    assert [str(target) for target in withdrawal(service, tmp_path).pending()] == ["102", "103"]


@pytest.mark.parametrize(
    ("jobid", "words"),
    [
        ("104", "job 104 has ended (COMPLETED); leave it out"),
        ("105", "job 105 is neither listed nor of this directory"),
        (SANDBOX, "is a sandbox's and of another directory"),
    ],
)
def test_refuses_what_cannot_be_cancelled(jobid: str, words: str, tmp_path: Path) -> None:
    """A number that is not surely a living job of the user's is an error, and nothing is sent."""
    service = Service(j104=JobState.COMPLETED, **{f"j{SANDBOX}": JobState.RUNNING})

    with pytest.raises(JobError, match=words.replace("(", r"\(").replace(")", r"\)")):
        withdrawal(service, tmp_path).named([jobid])
    assert service.scripts == []


def test_leaves_jobs_of_a_sandbox_elsewhere_alone(tmp_path: Path) -> None:
    """A number of a sandbox is never given to a job that runs scancel."""
    service = Service(**{f"j{SANDBOX}": JobState.PENDING})
    command = withdrawal(service, tmp_path)

    assert [target.external_jobid for target in command.cancel(command.pending(), 0.0)] == [SANDBOX]
    assert service.scripts == []


def test_tells_what_may_still_be_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no helper could end is returned when the time is up."""
    service = Service(j101=JobState.RUNNING)
    monkeypatch.setattr(service, "submit_job", lambda _body: Accepted("999"))
    command = withdrawal(service, tmp_path)
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)

    assert [str(target) for target in command.cancel(command.named(["101"]), 3.0)] == ["101"]
