"""What the verdict table says of a submission, after everything that there is to see of it was looked at."""

from __future__ import annotations

from collections.abc import Callable

from snakemake_executor_plugin_frceapi.failure import SHOWN_LINES, describe, describe_from_afar, describe_not_run
from snakemake_executor_plugin_frceapi.listed import judge_by_listing
from snakemake_executor_plugin_frceapi.logs import last_lines
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause, Graces, History, Outcome, Verdict, judge

NOT_RUN = Verdict(Outcome.FAILED, "an upstream job has failed")
"""The verdict on a job that Slurm has ended, and whose command can never have begun."""


class Verdicts:
    """Gives verdicts on submissions.

    Args:
        spool: the run directory.
        graces: how long to wait before something missing means something.
        say: receives lines for the user.
        clock: returns seconds of a monotonic clock.
    """

    def __init__(self, spool: Spool, graces: Graces, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._spool = spool
        self._graces = graces
        self._say = say
        self._clock = clock
        self._failed: dict[str, str] = {}

    def of(self, item: Submission) -> Verdict:
        """Return the verdict of now; before it may be a failure, the run directory itself is looked at."""
        verdict = self._judge(item)
        has_ended = item.history.state is not None and item.history.state.is_final
        if (has_ended or verdict.outcome is Outcome.FAILED) and not has_own_end(item):
            self._look_closer(item)
            verdict = self._judge(item)
            if has_ended and verdict.outcome is Outcome.ACTIVE and self._failed_upstream(item):
                return NOT_RUN
        return verdict

    def is_stopped(self, item: Submission) -> bool:
        """Make sure that a job which is about to be given up cannot run beside its retry."""
        return has_own_end(item) or self._spool.order_cancel(item.token)

    def can_never_begin(self, item: Submission) -> bool:
        """Forbid a job to begin, and return whether that came in time."""
        return self._spool.order_cancel(item.token) and not self._spool.claimed_by(item.token)

    def description(self, item: Submission, verdict: Verdict) -> str:
        """Return what a user reads about a failure."""
        self._failed[item.token] = f"job {item.external_jobid} (rule {item.rule})"
        if not has_own_end(item) and (upstream := self._failed_upstream(item)):
            return describe_not_run(item, upstream)
        has_started = item.history.end is not None or self._spool.start(item.token) is not None
        lines = last_lines(item.log, SHOWN_LINES)
        return describe(item, verdict, lines, has_started=has_started, peak_mb=self._spool.peak_mb(item.token))

    def _failed_upstream(self, item: Submission) -> str:
        """The first of its upstream jobs that has failed, empty if none has: then its own command never begins."""
        return next((self._failed[token] for token in item.upstream if token in self._failed), "")

    def _judge(self, item: Submission) -> Verdict:
        return judge(item.history, self._clock(), _time_limit_seconds(item), self._graces)

    def _look_closer(self, item: Submission) -> None:
        """The listing of ends may be late, or lost, and another job may have claimed the submission."""
        if end := self._spool.latest_end(item.token):
            item.note_end(end, self._clock())
            start = self._spool.start(item.token)
            if start is not None and start.restart > max(end.restart, item.restart):
                item.note_restart(start.restart, self._clock())
            return
        owner = self._spool.claimed_by(item.token)
        if owner and owner != item.external_jobid:
            self._say(f"Job {item.external_jobid} is a twin of job {owner}, which is followed instead.")
            item.external_jobid, item.history = owner, History()


class ListedVerdicts(Verdicts):
    """Gives verdicts on submissions that have no run directory; what is said of one there holds for none of them."""

    def of(self, item: Submission) -> Verdict:
        """Return the verdict of the newest listing."""
        return judge_by_listing(item.history, _time_limit_seconds(item), self._graces)

    def is_stopped(self, item: Submission) -> bool:  # noqa: ARG002 - no order reaches a job
        """Return whether a job can be given up: nothing can be done to make sure of it."""
        return True

    def can_never_begin(self, item: Submission) -> bool:
        """Return whether a job is not known to the cluster, as far as can be told."""
        return item.external_jobid is None

    def description(self, item: Submission, verdict: Verdict) -> str:
        """Return what a user reads about a failure."""
        return describe_from_afar(item, verdict)


def verdicts(spool: Spool, graces: Graces, say: Callable[[str], None], clock: Callable[[], float]) -> Verdicts:
    """Return what gives verdicts on jobs whose run directories are in `spool`."""
    return (Verdicts if spool.is_shared else ListedVerdicts)(spool, graces, say, clock)


def _time_limit_seconds(item: Submission) -> float | None:
    minutes = item.request.time_limit_minutes
    return minutes * 60.0 if minutes else None


def has_own_end(item: Submission) -> bool:
    """Return whether the job command has ended by itself."""
    return item.history.end is not None and item.history.end.cause is Cause.OWN
