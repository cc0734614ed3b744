"""One verdict for each active job, from what is known of it: its end marker, the listing, and the clock.

The table below is the only place that decides what a combination means. A listing that could not be had is no evidence,
and neither is absence from one: a job that is not listed is neither done nor failed.

All times are seconds of a monotonic clock, as `time.monotonic`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, unique
from math import inf

from snakemake_executor_plugin_frceapi.job import NOT_MEASURED, JobState, JobStatus, Usage
from snakemake_executor_plugin_frceapi.standing import STANDINGS, Standing


@unique
class Cause(Enum):
    """Why a job command ended."""

    OWN = "own"
    """By itself, with an exit code of its own."""
    SIGNAL = "signal"
    """By a signal from outside: a time limit, a requeue, `scancel`."""
    CANCELLED = "cancelled"
    """By an order of ours."""
    UPSTREAM = "upstream"
    """It was not begun, because an upstream job has not succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end marker that a job leaves in its run directory.

    Attributes:
        external_jobid: the job that ran, the owner of the claim.
        restart: how often Slurm had requeued it (``SLURM_RESTART_COUNT``).
        exit_code: exit code of the job command.
        cause: why it ended.
        start: when the run script began, or was let through its gate, in seconds of the epoch by the node's clock.
        end: when it ended, likewise.
        cpu_seconds: CPU time of all processes of the job command.
        gate_seconds: how long it had waited at its gate, in whole seconds; 0 where it has none.
        usage: what else the job has told of itself.
    """

    external_jobid: str
    restart: int
    exit_code: int
    cause: Cause
    start: float
    end: float
    cpu_seconds: float
    gate_seconds: float = 0.0
    usage: Usage = NOT_MEASURED

    @property
    def wall_seconds(self) -> float:
        """How long the job ran, without its wait at a gate."""
        return max(0.0, self.end - self.start)


@unique
class Outcome(Enum):
    """What one check says about one job."""

    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one check for one job.

    Attributes:
        outcome: active, succeeded or failed.
        reason: for a failure, one clause that says why.
    """

    outcome: Outcome
    reason: str = ""


ACTIVE = Verdict(Outcome.ACTIVE)
SUCCEEDED = Verdict(Outcome.SUCCEEDED)
LONGEST_LISTING_GAP = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Graces:
    """How long to wait before something missing means something, in seconds.

    Attributes:
        marker: until a marker is visible here; the attribute cache of NFS keeps a directory for up to 60 s (nfs(5)).
        requeue: until Slurm starts a job again after a node failure or a preemption.
        kill_wait: between SIGTERM and SIGKILL (slurm.conf(5), ``KillWait``; 264 s on FRCE).
        window: how far back a listing reaches.
        gap: a longer gap between two valid listings is an outage, and no time in which a job was not listed.
    """

    marker: float = 90.0
    requeue: float = 600.0
    kill_wait: float = 264.0
    window: float = 24 * 3600.0
    gap: float = LONGEST_LISTING_GAP


_WAITS_TO_START = (JobState.PENDING, JobState.REQUEUED)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What has been seen of one job so far.

    Attributes:
        end: the end marker with the highest restart, if there is one.
        end_seen: when it was seen.
        start_seen: when the job was first known to have started, None also after it was requeued.
        state: the state in the last valid listing, None where it was not listed.
        state_seen: since when listings have said so without a break.
        listed: when the last valid listing came, None before the first.
        unlisted_seconds: how long valid listings have not listed the job, outages left out.
    """

    end: End | None = None
    end_seen: float = 0.0
    start_seen: float | None = None
    state: JobState | None = None
    state_seen: float = 0.0
    listed: float | None = None
    unlisted_seconds: float = 0.0

    def with_listing(self, status: JobStatus | None, now: float, longest_gap: float = LONGEST_LISTING_GAP) -> History:
        """Return the history after a valid listing, in which the job stood as `status` or not at all.

        Args:
            status: its row.
            now: the time.
            longest_gap: as `Graces.gap`.
        """
        state = status.state if status else None
        unlisted = 0.0
        if state is None and self.listed is not None:
            gap = now - self.listed
            unlisted = self.unlisted_seconds + (gap if gap <= longest_gap else 0.0)
        unbroken = self.listed is not None and state is self.state
        start_seen = None if state in _WAITS_TO_START else self.start_seen
        if start_seen is None and state is JobState.RUNNING:
            start_seen = now
        return replace(
            self,
            state=state,
            state_seen=self.state_seen if unbroken else now,
            listed=now,
            unlisted_seconds=unlisted,
            start_seen=start_seen,
        )

    def with_end(self, end: End, now: float) -> History:
        """Return the history after an end marker was read; the highest restart counts."""
        if self.end is not None and end.restart <= self.end.restart:
            return self
        return replace(self, end=end, end_seen=now, start_seen=now if self.start_seen is None else self.start_seen)

    def with_start(self, now: float) -> History:
        """Return the history after the job was seen to have started."""
        return self if self.start_seen is not None else replace(self, start_seen=now)


class _EndKind(Enum):
    GOOD = "own exit 0"
    BAD = "own exit, not 0"
    SIGNAL = "by a signal from outside"
    CANCELLED = "by an order of ours"
    UPSTREAM = "not begun because of an upstream job"
    NONE = "none"


class _Rule(Enum):
    SUCCEED = "succeeded"
    FAIL_OWN = "failed with its exit code"
    FAIL_STATE = "failed in the listed state"
    FAIL_CANCELLED = "failed: cancelled"
    FAIL_UPSTREAM = "failed: not begun because of an upstream job"
    STAY = "active"
    AWAIT_MARKER = "active until an end had time to appear"
    AWAIT_REQUEUE = "active for the requeue grace"
    AWAIT_RETURN = "active for the requeue grace after its end"
    AWAIT_TRACE = "active until it must have ended"


_SAME_FOR_ALL = {
    _EndKind.GOOD: _Rule.SUCCEED,
    _EndKind.BAD: _Rule.FAIL_OWN,
    _EndKind.CANCELLED: _Rule.FAIL_CANCELLED,
}

_TABLE = {
    (_EndKind.SIGNAL, Standing.LIVE): _Rule.STAY,
    (_EndKind.SIGNAL, Standing.REQUEUED): _Rule.STAY,
    (_EndKind.SIGNAL, Standing.COMPLETED): _Rule.AWAIT_MARKER,
    (_EndKind.SIGNAL, Standing.FINAL): _Rule.FAIL_STATE,
    (_EndKind.SIGNAL, Standing.MAY_RETURN): _Rule.AWAIT_RETURN,
    (_EndKind.SIGNAL, Standing.ABSENT): _Rule.AWAIT_RETURN,
    (_EndKind.SIGNAL, Standing.NEVER): _Rule.STAY,
    (_EndKind.UPSTREAM, Standing.LIVE): _Rule.STAY,
    (_EndKind.UPSTREAM, Standing.REQUEUED): _Rule.STAY,
    (_EndKind.UPSTREAM, Standing.COMPLETED): _Rule.FAIL_UPSTREAM,
    (_EndKind.UPSTREAM, Standing.FINAL): _Rule.FAIL_UPSTREAM,
    (_EndKind.UPSTREAM, Standing.MAY_RETURN): _Rule.FAIL_UPSTREAM,
    (_EndKind.UPSTREAM, Standing.ABSENT): _Rule.FAIL_UPSTREAM,
    (_EndKind.UPSTREAM, Standing.NEVER): _Rule.FAIL_UPSTREAM,
    (_EndKind.NONE, Standing.LIVE): _Rule.STAY,
    (_EndKind.NONE, Standing.REQUEUED): _Rule.AWAIT_REQUEUE,
    (_EndKind.NONE, Standing.COMPLETED): _Rule.AWAIT_MARKER,
    (_EndKind.NONE, Standing.FINAL): _Rule.AWAIT_MARKER,
    (_EndKind.NONE, Standing.MAY_RETURN): _Rule.AWAIT_REQUEUE,
    (_EndKind.NONE, Standing.ABSENT): _Rule.AWAIT_TRACE,
    (_EndKind.NONE, Standing.NEVER): _Rule.STAY,
}


def judge(history: History, now: float, time_limit_seconds: float | None, graces: Graces) -> Verdict:
    """Give the one verdict on a job.

    Args:
        history: what has been seen of the job.
        now: the time of the check.
        time_limit_seconds: the time limit that was asked for, None where none was.
        graces: how long to wait before something missing means something.
    """
    match rule := _rule(history):
        case _Rule.SUCCEED:
            return SUCCEEDED
        case _Rule.STAY:
            return ACTIVE
        case _Rule.FAIL_OWN:
            return _failed("the job command failed")
        case _Rule.FAIL_CANCELLED:
            return _failed("it was cancelled")
        case _Rule.FAIL_UPSTREAM:
            return _failed("an upstream job has not succeeded, so the job command was not begun")
        case _Rule.FAIL_STATE:
            return _failed("it was ended by a signal from outside")
        case _:
            return _wait(rule, history, now, time_limit_seconds, graces)


def may_change_by_itself(history: History) -> bool:
    """Return whether time alone, without another listing, can change the verdict on a job that is active now."""
    return _end_kind(history.end) in _SAME_FOR_ALL or _rule(history) is _Rule.AWAIT_MARKER


def _rule(history: History) -> _Rule:
    """Look into the table.

    After an end for want of an upstream job only a listing that came later shows that Slurm has started the job again.
    """
    end, listed = _end_kind(history.end), _standing(history)
    if end is _EndKind.UPSTREAM and _listed_at(history) <= history.end_seen:
        listed = Standing.NEVER
    return _SAME_FOR_ALL.get(end) or _TABLE[end, listed]


def _wait(rule: _Rule, history: History, now: float, time_limit_seconds: float | None, graces: Graces) -> Verdict:
    """Wait for a file by the clock, and for Slurm by its listings: silence of the API is no evidence."""
    match rule:
        case _Rule.AWAIT_MARKER:
            completed = history.state is JobState.COMPLETED
            reason = "it ended without an exit status" if completed else "Slurm ended it"
            return _failed(reason) if now >= history.state_seen + graces.marker else ACTIVE
        case _Rule.AWAIT_REQUEUE:
            until, reason = history.state_seen + graces.requeue, "Slurm has not started it again"
        case _Rule.AWAIT_RETURN:
            since = max(history.end_seen, history.state_seen)
            until, reason = since + graces.requeue, "it was ended by a signal from outside and has not come back"
        case _:
            return _await_trace(history, time_limit_seconds, graces)
    return _failed(reason) if _listed_at(history) >= until else ACTIVE


def _await_trace(history: History, time_limit_seconds: float | None, graces: Graces) -> Verdict:
    if history.start_seen is not None and time_limit_seconds is not None:
        until = history.start_seen + time_limit_seconds + graces.kill_wait + graces.requeue
        if _listed_at(history) < max(until, history.state_seen + graces.marker):
            return ACTIVE
        return _failed("it started, its time limit is over, and it is neither listed nor has it left an exit status")
    if history.unlisted_seconds < graces.window + graces.marker:
        return ACTIVE
    return _failed("it was not listed for a whole day and has left no trace")


def is_over(history: History) -> bool:
    """Return whether nothing of the job can run any more: it has an end of its own, or is listed as ended for good."""
    own = history.end is not None and history.end.cause is Cause.OWN
    return own or _standing(history) in (Standing.COMPLETED, Standing.FINAL)


def _listed_at(history: History) -> float:
    return -inf if history.listed is None else history.listed


def _end_kind(end: End | None) -> _EndKind:
    if end is None:
        return _EndKind.NONE
    if end.cause is Cause.OWN:
        return _EndKind.GOOD if end.exit_code == 0 else _EndKind.BAD
    return _EndKind[end.cause.name]


def _standing(history: History) -> Standing:
    if history.listed is None:
        return Standing.NEVER
    return Standing.ABSENT if history.state is None else STANDINGS[history.state]


def _failed(reason: str) -> Verdict:
    return Verdict(Outcome.FAILED, reason)
