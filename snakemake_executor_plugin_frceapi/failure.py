"""What a user reads when a job has failed: the state, the exit code, the log, and what to change."""

from __future__ import annotations

from collections.abc import Sequence

from snakemake_executor_plugin_frceapi.job import JobState
from snakemake_executor_plugin_frceapi.jobscript import NOT_SEEN_EXIT_CODE
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause, Verdict

SHOWN_LINES = 20
"""How many of the log's last lines a message shows."""

_ENDED_BY_ITSELF = (Cause.OWN, Cause.UPSTREAM)


def describe(submission: Submission, verdict: Verdict, last_lines: Sequence[str], *, has_started: bool) -> str:
    """Return the message for a job that failed.

    Args:
        submission: the job, with all that was seen of it.
        verdict: why it counts as failed.
        last_lines: the end of its log.
        has_started: whether it has left a trace in its run directory.
    """
    end = submission.history.end
    facts = [f"state {_state_word(submission)}"]
    if end is not None and end.cause in _ENDED_BY_ITSELF:
        facts.append(f"exit code {end.exit_code}")
    lines = [f"Job {submission.external_jobid} failed: {verdict.reason} ({', '.join(facts)})."]
    if advice := _advice(submission, has_started=has_started):
        lines.append(advice)
    if last_lines:
        lines.append(f"Log: {submission.log}; its last lines:")
        lines.extend("    " + line for line in last_lines)
    else:
        lines.append(f"Its log {submission.log} is empty or does not exist.")
    return "\n        ".join(lines) + "\n"


def describe_not_run(submission: Submission, upstream: str) -> str:
    """Return the message for a job that was never begun.

    Args:
        submission: the job.
        upstream: the job that failed, which it depends on.
    """
    return f"Job {submission.external_jobid} was not run: it depends on {upstream}, which failed.\n"


def _state_word(submission: Submission) -> str:
    history = submission.history
    if history.state is not None and history.state.is_final:
        return history.state.value
    if history.end is not None and history.end.cause in _ENDED_BY_ITSELF:
        return JobState.FAILED.value
    return f"{history.state.value} when last listed" if history.state else "not listed"


def _advice(submission: Submission, *, has_started: bool) -> str:
    request, state, rule = submission.request, submission.history.state, submission.rule
    if submission.history.end is not None and submission.history.end.cause is Cause.UPSTREAM:
        return (
            f"It was submitted with dependency={request.dependency}; its log names the job that has not succeeded. If "
            "that job failed or was cancelled, mend it and start Snakemake again; if it ended well, the cluster began "
            "this job too early, as if it had no dependency: let Snakemake submit it again with --retries 1"
        )
    if state is JobState.TIMEOUT and request.time_limit_minutes:
        asked = request.time_limit_minutes
        return f"It asked for {asked} min; more with: --set-resources {rule}:runtime={asked * 2}"
    if state is JobState.OUT_OF_MEMORY and request.mem_mb_per_node:
        asked = request.mem_mb_per_node
        return f"It asked for {asked} MB; more with: --set-resources {rule}:mem_mb={asked * 2}"
    if state is JobState.OUT_OF_MEMORY and request.mem_mb_per_cpu:
        asked = request.mem_mb_per_cpu
        return f"It asked for {asked} MB per CPU; more with: --set-resources {rule}:mem_mb_per_cpu={asked * 2}"
    if not has_started and state is JobState.FAILED:
        return (
            f"It has left no trace in its run directory. A node that does not see that directory ends a job with exit "
            f"code {NOT_SEEN_EXIT_CODE}: is the working directory on a file system that the nodes share?"
        )
    return ""
