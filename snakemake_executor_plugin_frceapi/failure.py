"""What a user reads when a job has failed: the state, the exit code, the log, and what to change."""

from __future__ import annotations

from collections.abc import Sequence

from snakemake_executor_plugin_frceapi.job import JobState
from snakemake_executor_plugin_frceapi.jobscript import NOT_SEEN_EXIT_CODE
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause, Verdict

MOST_LINES = 60
"""How many of the log's last lines `describe` wants to choose from."""

_SHOWN_LINES = 20
_CLOSING_LINE = "Shutting down, this might take some time."


def describe(submission: Submission, verdict: Verdict, last_lines: Sequence[str]) -> str:
    """Return the message for a job that failed.

    Args:
        submission: the job, with all that was seen of it.
        verdict: why it counts as failed.
        last_lines: the end of its log, up to `MOST_LINES`.
    """
    end = submission.history.end
    facts = [f"state {_state_word(submission)}"]
    if end is not None and end.cause is Cause.OWN:
        facts.append(f"exit code {end.exit_code}")
    lines = [f"Job {submission.external_jobid} failed: {verdict.reason} ({', '.join(facts)})."]
    if advice := _advice(submission):
        lines.append(advice)
    if last_lines:
        lines.append(f"Log: {submission.log}; its last lines:")
        lines.extend("    " + line for line in _telling(last_lines))
    else:
        lines.append(f"Its log {submission.log} is empty or does not exist.")
    return "\n        ".join(lines) + "\n"


def _telling(lines: Sequence[str]) -> Sequence[str]:
    """The last lines, without those that every Snakemake ends with after a failure and that hide what happened."""
    closing = next((n for n in range(len(lines) - 1, -1, -1) if lines[n].strip() == _CLOSING_LINE), len(lines))
    return lines[max(0, closing - _SHOWN_LINES) : closing] or lines[-_SHOWN_LINES:]


def _state_word(submission: Submission) -> str:
    history = submission.history
    if history.state is not None and history.state.is_final:
        return history.state.value
    if history.end is not None and history.end.cause is Cause.OWN:
        return JobState.FAILED.value
    return f"{history.state.value} when last listed" if history.state else "not listed"


def _advice(submission: Submission) -> str:
    request, state, rule = submission.request, submission.history.state, submission.rule
    if state is JobState.TIMEOUT and request.time_limit_minutes:
        asked = request.time_limit_minutes
        return f"It asked for {asked} min; more with: --set-resources {rule}:runtime={asked * 2}"
    if state is JobState.OUT_OF_MEMORY and request.mem_mb_per_node:
        asked = request.mem_mb_per_node
        return f"It asked for {asked} MB; more with: --set-resources {rule}:mem_mb={asked * 2}"
    if state is JobState.OUT_OF_MEMORY and request.mem_mb_per_cpu:
        asked = request.mem_mb_per_cpu
        return f"It asked for {asked} MB per CPU; more with: --set-resources {rule}:mem_mb_per_cpu={asked * 2}"
    if submission.history.end is None and submission.history.start_seen is None:
        return (
            f"It has left no trace in its run directory. A node that does not see that directory ends a job with exit "
            f"code {NOT_SEEN_EXIT_CODE}: is the working directory on a file system that the nodes share?"
        )
    return ""
