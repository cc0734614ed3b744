"""What a user reads when a job has failed: the state, the exit code, the log, and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

from snakemake_executor_plugin_frceapi.job import JobState
from snakemake_executor_plugin_frceapi.jobscript import NOT_SEEN_EXIT_CODE
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause, Verdict

SHOWN_LINES = 20
"""How many of the log's last lines a message shows."""

_KILLED_EXIT_CODE = 128 + 9
_NEAR = 0.9
_ENDED_BY_ITSELF = (Cause.OWN, Cause.UPSTREAM)


def describe(
    submission: Submission,
    verdict: Verdict,
    last_lines: Sequence[str],
    *,
    has_started: bool,
    peak_mb: int | None = None,
) -> str:
    """Return the message for a job that failed.

    Args:
        submission: the job, with all that was seen of it.
        verdict: why it counts as failed.
        last_lines: the end of its log.
        has_started: whether it has left a trace in its run directory.
        peak_mb: the memory in MB that it was seen to hold at most, None where that is not known.
    """
    end = submission.history.end
    facts = [f"state {_state_word(submission)}"]
    if end is not None and end.cause in _ENDED_BY_ITSELF:
        facts.append(f"exit code {end.exit_code}")
    lines = [f"Job {submission.external_jobid} failed: {verdict.reason} ({', '.join(facts)})."]
    if advice := _advice(submission, peak_mb, has_started=has_started):
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


def describe_from_afar(submission: Submission, verdict: Verdict) -> str:
    """Return the message for a job without a run directory that failed; its log is on the cluster."""
    lines = [f"Job {submission.external_jobid} failed: {verdict.reason} (state {_state_word(submission)})."]
    if advice := _advice(submission, None, has_started=True):
        lines.append(advice)
    lines.append(f"If it has begun, its log is on the cluster: {submission.log}")
    return "\n        ".join(lines) + "\n"


def _state_word(submission: Submission) -> str:
    history = submission.history
    if history.state is not None and history.state.is_final:
        return history.state.value
    if history.end is not None and history.end.cause in _ENDED_BY_ITSELF:
        return JobState.FAILED.value
    return f"{history.state.value} when last listed" if history.state else "not listed"


def _advice(submission: Submission, peak_mb: int | None, *, has_started: bool) -> str:
    request, state = submission.request, submission.history.state
    if submission.history.end is not None and submission.history.end.cause is Cause.UPSTREAM:
        return (
            f"It was submitted with dependency={request.dependency}; its log names the job that has not succeeded. If "
            "that job failed or was cancelled, mend it and start Snakemake again; if it ended well, the cluster began "
            "this job too early, as if it had no dependency: let Snakemake submit it again with --retries 1"
        )
    if state is JobState.TIMEOUT:
        return _more_time(submission)
    if state is JobState.OUT_OF_MEMORY:
        return _more_memory(submission, peak_mb)
    if _was_killed(submission) and peak_mb and peak_mb >= _NEAR * (request.memory_mb or inf):
        return f"It was killed, probably for its memory. {_more_memory(submission, peak_mb)}"
    if not has_started and state is JobState.FAILED:
        return (
            f"It has left no trace in its run directory. A node that does not see that directory ends a job with exit "
            f"code {NOT_SEEN_EXIT_CODE}: is the working directory on a file system that the nodes share?"
        )
    return ""


def _more_time(submission: Submission) -> str:
    """What was asked and used of the time, and how to ask for more; empty where neither is known."""
    asked, end = submission.request.time_limit_minutes, submission.history.end
    used = (end.wall_seconds + end.gate_seconds) / 60 if end else None
    if asked is None and used is None:
        return ""
    facts = f"It asked for {asked} min" if asked else "It asked for no time limit, so it got the partition's"
    facts += f" and ran for {used:.1f} min" if used is not None else ""
    return f"{facts}; {_raised(submission, 'runtime', asked or ceil(used or 1))}"


def _more_memory(submission: Submission, peak_mb: int | None) -> str:
    """What was asked and seen in use of the memory, and how to ask for more; empty where nothing was asked."""
    request = submission.request
    held = f" and was seen to hold {peak_mb} MB" if peak_mb is not None else ""
    if request.mem_mb_per_node:
        asked = request.mem_mb_per_node
        return f"It asked for {asked} MB{held}; {_raised(submission, 'mem_mb', asked)}"
    if request.mem_mb_per_cpu:
        asked = request.mem_mb_per_cpu
        total = f" ({request.memory_mb} MB in all)" if peak_mb is not None else ""
        return f"It asked for {asked} MB per CPU{total}{held}; {_raised(submission, 'mem_mb_per_cpu', asked)}"
    return ""


def _raised(submission: Submission, resource: str, asked: int) -> str:
    """The options that ask for twice as much, at once or more with each attempt."""
    rules = sorted({work.rule for work in submission.works}) or [submission.rule]
    if rules != [submission.rule]:
        return f"Snakemake works that out from the rules of the group: raise {resource} in {', '.join(rules)}"
    option = f"{submission.rule}:{resource}={asked * 2}"
    return f"more with: --set-resources {option}, or with each attempt: --retries 2 --set-resources '{option}*attempt'"


def _was_killed(submission: Submission) -> bool:
    """Whether SIGKILL ended the job command, or the whole job before it could record an end."""
    end = submission.history.end
    if end is None:
        return submission.history.state is JobState.FAILED
    return end.cause is Cause.OWN and end.exit_code == _KILLED_EXIT_CODE
