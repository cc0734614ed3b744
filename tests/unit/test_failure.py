"""Tests of the message for a job that failed: everything a user needs, and the line that helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.failure import describe
from snakemake_executor_plugin_frceapi.job import JobRequest, JobState, Work
from snakemake_executor_plugin_frceapi.tracker import Cause, End, History, Outcome, Verdict
from tests.submissions import a_submission

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
    peak: int | None = None,
    rules: tuple[str, ...] = ("map",),
) -> str:
    """The message for a job of rule map that failed."""
    marker = end and End(
        external_jobid="7", restart=0, exit_code=end[0], cause=end[1], start=0.0, end=3630.0, cpu_seconds=1.0
    )
    submission = a_submission(
        works=tuple(Work(rule, (), "") for rule in rules),
        request=request,
        log_directory=Path("/logs/rule_map"),
        external_jobid="7",
        history=History(state=state, end=marker),
    )
    return describe(submission, VERDICT, lines, has_started=started, peak_mb=peak)


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
    ("state", "request_", "facts", "option"),
    [
        (JobState.TIMEOUT, PER_NODE, "It asked for 60 min and ran for 60.5 min", "map:runtime=120"),
        (
            JobState.TIMEOUT,
            JobRequest(partition="norm"),
            "It asked for no time limit, so it got the partition's and ran for 60.5 min",
            "map:runtime=122",
        ),
        (JobState.OUT_OF_MEMORY, PER_NODE, "It asked for 4000 MB and was seen to hold 3900 MB", "map:mem_mb=8000"),
        (
            JobState.OUT_OF_MEMORY,
            replace(PER_CPU, cpus_per_task=4, ntasks=2),
            "It asked for 500 MB per CPU (4000 MB in all) and was seen to hold 3900 MB",
            "map:mem_mb_per_cpu=1000",
        ),
    ],
)
def test_names_the_lines_that_raise_a_limit(state: JobState, request_: JobRequest, facts: str, option: str) -> None:
    """A limit that was hit comes with what was asked and used, and with the options that ask for more."""
    message = failed(state, request=request_, end=(1, Cause.OWN), peak=3900)

    assert message.splitlines()[1].strip() == (
        f"{facts}; more with: --set-resources {option}, "
        f"or with each attempt: --retries 2 --set-resources '{option}*attempt'"
    )


def test_tells_only_what_was_seen() -> None:
    """Of a job that left no end, the time is not known; of one that was never measured, nor is the memory."""
    assert "It asked for 60 min; more" in failed(JobState.TIMEOUT)
    assert "It asked for 4000 MB; more" in failed(JobState.OUT_OF_MEMORY)
    assert "It asked for 500 MB per CPU; more" in failed(JobState.OUT_OF_MEMORY, request=PER_CPU)


@pytest.mark.parametrize(
    ("state", "end", "peak", "shown"),
    [
        (JobState.FAILED, None, 3600, True),
        (JobState.FAILED, None, 3599, False),
        (JobState.FAILED, None, None, False),
        (JobState.CANCELLED, None, 3900, False),
        (None, (137, Cause.OWN), 3900, True),
        (JobState.FAILED, (137, Cause.OWN), 3900, True),
        (JobState.FAILED, (1, Cause.OWN), 3900, False),
        (JobState.FAILED, (143, Cause.SIGNAL), 3900, False),
    ],
)
def test_suspects_the_memory_of_a_job_that_was_killed_near_its_limit(
    state: JobState | None,
    end: tuple[int, Cause] | None,
    peak: int | None,
    shown: bool,  # noqa: FBT001
) -> None:
    """SIGKILL together with a measured peak of nine tenths of what was asked, and nothing less, is such a case."""
    message = failed(state, end=end, peak=peak)

    assert ("It was killed, probably for its memory. It asked for 4000 MB" in message) == shown


def test_suspects_no_memory_where_none_was_asked() -> None:
    """Without a limit there is nothing to be near to."""
    assert "memory" not in failed(JobState.FAILED, peak=3900, request=JobRequest(partition="norm"))


def test_names_the_rules_of_a_group() -> None:
    """No option takes a group: what it asks for follows from its rules."""
    message = failed(JobState.TIMEOUT, rules=("a", "b"))

    assert "It asked for 60 min; Snakemake works that out from the rules of the group: raise runtime in a, b" in message


@pytest.mark.parametrize("state", [JobState.TIMEOUT, JobState.OUT_OF_MEMORY, JobState.FAILED, JobState.CANCELLED])
def test_gives_no_advice_where_nothing_was_asked(state: JobState) -> None:
    """Without a limit of the job's own, and without an end that tells how long it ran, there is none to raise."""
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
