"""Tests of the message for a job that failed: everything a user needs, and the line that helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.failure import describe
from snakemake_executor_plugin_frceapi.job import JobRequest, JobState
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause, End, History, Outcome, Verdict

VERDICT = Verdict(Outcome.FAILED, "the job command failed")
PER_NODE = JobRequest(partition="norm", mem_mb_per_node=4000, time_limit_minutes=60)
PER_CPU = JobRequest(partition="norm", mem_mb_per_cpu=500, time_limit_minutes=60)


def failed(
    state: JobState | None = None,
    *,
    end: tuple[int, Cause] | None = None,
    request: JobRequest = PER_NODE,
    lines: tuple[str, ...] = (),
    started: bool = True,
) -> str:
    """The message for a job of rule map that failed."""
    marker = end and End(
        external_jobid="7", restart=0, exit_code=end[0], cause=end[1], start=0.0, end=1.0, cpu_seconds=1.0
    )
    submission = Submission(
        token="t",
        job_info=None,
        rule="map",
        attempt=1,
        works=(),
        request=request,
        body=b"",
        log_directory=Path("/logs/rule_map"),
        prepare=lambda: None,
        external_jobid="7",
        history=History(state=state, end=marker),
    )
    return describe(submission, VERDICT, lines, has_started=started)


def test_shows_everything_on_lines_of_its_own() -> None:
    """Reason, state, exit code, log and the log's last lines, as a block that stands out."""
    message = failed(JobState.FAILED, end=(3, Cause.OWN), lines=("first", "  second"))

    assert message == (
        "Job 7 failed: the job command failed (state FAILED, exit code 3).\n"
        "        Log: /logs/rule_map/7.log; its last lines:\n"
        "            first\n"
        "              second\n"
    )


def test_says_that_there_is_no_log() -> None:
    """Without lines the place where the log should be is named."""
    assert "Its log /logs/rule_map/7.log is empty or does not exist.\n" in failed(JobState.FAILED)


@pytest.mark.parametrize(
    ("state", "end", "words"),
    [
        (JobState.TIMEOUT, None, "(state TIMEOUT)"),
        (JobState.TIMEOUT, (143, Cause.SIGNAL), "(state TIMEOUT)"),
        (JobState.OUT_OF_MEMORY, (137, Cause.OWN), "(state OUT_OF_MEMORY, exit code 137)"),
        (JobState.RUNNING, (2, Cause.OWN), "(state FAILED, exit code 2)"),
        (None, (2, Cause.OWN), "(state FAILED, exit code 2)"),
        (JobState.RUNNING, (143, Cause.SIGNAL), "(state RUNNING when last listed)"),
        (JobState.PENDING, None, "(state PENDING when last listed)"),
        (None, None, "(state not listed)"),
        (None, (143, Cause.CANCELLED), "(state not listed)"),
        (JobState.RUNNING, (76, Cause.UPSTREAM), "(state FAILED, exit code 76)"),
    ],
)
def test_names_the_state_that_is_known(state: JobState | None, end: tuple[int, Cause] | None, words: str) -> None:
    """A final state of the listing first, then what the job itself says, then what was listed last."""
    assert words in failed(state, end=end)


@pytest.mark.parametrize(
    ("state", "request_", "words"),
    [
        (JobState.TIMEOUT, PER_NODE, "It asked for 60 min; more with: --set-resources map:runtime=120"),
        (JobState.OUT_OF_MEMORY, PER_NODE, "It asked for 4000 MB; more with: --set-resources map:mem_mb=8000"),
        (
            JobState.OUT_OF_MEMORY,
            PER_CPU,
            "It asked for 500 MB per CPU; more with: --set-resources map:mem_mb_per_cpu=1000",
        ),
    ],
)
def test_names_the_line_that_raises_a_limit(state: JobState, request_: JobRequest, words: str) -> None:
    """A limit that was hit comes with what was asked for and the option that asks for more."""
    assert f"\n        {words}\n" in failed(state, request=request_, end=(1, Cause.OWN))


@pytest.mark.parametrize("state", [JobState.TIMEOUT, JobState.OUT_OF_MEMORY, JobState.FAILED, JobState.CANCELLED])
def test_gives_no_advice_where_nothing_was_asked(state: JobState) -> None:
    """Without a limit of the job's own there is none to raise."""
    assert failed(state, request=JobRequest(partition="norm")).count("\n") == 2


@pytest.mark.parametrize(
    ("state", "started", "shown"),
    [
        (JobState.FAILED, False, True),
        (JobState.FAILED, True, False),
        (JobState.CANCELLED, False, False),
        (None, False, False),
    ],
)
def test_asks_about_the_file_system_of_a_job_without_a_trace(
    state: JobState | None,
    started: bool,  # noqa: FBT001
    shown: bool,  # noqa: FBT001
) -> None:
    """A job that Slurm says failed and that left nothing has probably not seen its run directory."""
    advice = "ends a job with exit code 66: is the working directory on a file system that the nodes share?"

    assert (advice in failed(state, started=started)) == shown


@pytest.mark.parametrize("state", [None, JobState.FAILED, JobState.TIMEOUT])
def test_tells_what_to_do_about_an_upstream_job(state: JobState | None) -> None:
    """Either that job failed, or the dependency was ignored; the message shows it and has a remedy for both."""
    request = replace(PER_NODE, dependency="afterok:4")
    message = failed(state, end=(76, Cause.UPSTREAM), request=request, lines=("frceapi: upstream job 4 ...",))

    advice = message.splitlines()[1]
    assert "dependency=afterok:4" in advice
    assert "If that job failed or was cancelled, mend it and start Snakemake again" in advice
    assert "began this job too early, as if it had no dependency: " in advice
    assert "--retries 1" in advice
    assert "its last lines:\n            frceapi: upstream job 4 ..." in message
