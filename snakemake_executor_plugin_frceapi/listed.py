"""The verdict on a job that leaves no files behind: what the listing says, and nothing else.

All times are seconds of a monotonic clock, as `time.monotonic`.
"""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.standing import STANDINGS, Standing
from snakemake_executor_plugin_frceapi.tracker import ACTIVE, SUCCEEDED, Graces, History, Outcome, Verdict

ASSUMED_LIMIT_SECONDS = 5 * 86_400.0
"""Time limit of a job that asked for none: the longest of the partitions that have one."""

UNKNOWN_END = "unknown end: no listing has shown how it ended; its outputs in the storage may exist"


def judge_by_listing(history: History, time_limit_seconds: float | None, graces: Graces) -> Verdict:
    """Give the one verdict on a job without a run directory.

    Args:
        history: what listings have shown of the job.
        time_limit_seconds: the time limit that was asked for, None where none was.
        graces: how long to wait before something missing means something.
    """
    if history.listed is None:
        return ACTIVE
    if history.state is None:
        limit = ASSUMED_LIMIT_SECONDS if time_limit_seconds is None else time_limit_seconds
        return _failed(UNKNOWN_END) if _must_have_ended(history, limit, graces) else ACTIVE
    match STANDINGS[history.state]:
        case Standing.COMPLETED:
            return SUCCEEDED
        case Standing.FINAL:
            return _failed("Slurm says so, and no more is known")
        case Standing.REQUEUED | Standing.MAY_RETURN if history.listed >= history.state_seen + graces.requeue:
            return _failed("Slurm has not started it again")
        case _:
            return ACTIVE


def _must_have_ended(history: History, limit_seconds: float, graces: Graces) -> bool:
    """Return whether a job that is not listed has ended so long ago that no listing will show it any more.

    Where it was not seen to start, it may have waited unlisted for as long as a listing reaches back.
    """
    longest = limit_seconds + graces.kill_wait
    if history.start_seen is None:
        return history.unlisted_seconds >= graces.window + longest + graces.window
    is_over = history.listed is not None and history.listed >= history.start_seen + longest
    return is_over and history.unlisted_seconds >= graces.window


def _failed(reason: str) -> Verdict:
    return Verdict(Outcome.FAILED, reason)
