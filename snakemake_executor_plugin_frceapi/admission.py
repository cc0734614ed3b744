"""How a job that is ready enters the run: anew, or as what an earlier run has submitted for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from snakemake_executor_plugin_frceapi.cancel import Canceller
from snakemake_executor_plugin_frceapi.identity import works_of
from snakemake_executor_plugin_frceapi.preparation import Preparing, ReadyJob
from snakemake_executor_plugin_frceapi.recovery import Legacy, Match, Step
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.submission import Submission


class Admission:
    """Lets jobs into a run.

    Args:
        legacy: what earlier runs have left.
        preparation: makes submissions.
        run: the jobs.
        canceller: ends jobs that do not serve any more.
        let_begin: opens the gate of a job that went ahead in an earlier run.
        say: receives lines for the user.
    """

    def __init__(
        self,
        legacy: Legacy,
        preparation: Preparing,
        run: Run,
        canceller: Canceller,
        let_begin: Callable[[Submission], None],
        say: Callable[[str], None],
    ) -> None:
        self._legacy = legacy
        self._preparation = preparation
        self._run = run
        self._canceller = canceller
        self._let_begin = let_begin
        self._say = say
        for entry in legacy.entries:
            run.tidying.hold(entry.upstream)  # its job may begin before Snakemake comes to it

    def admit(self, fresh: Submission) -> None:
        """Let a job in.

        Args:
            fresh: its submission as it would be without earlier runs; nothing of it is written or sent yet.
        """
        match = self._match(fresh)
        if match.step is Step.SHARE:
            if self._run.share(match.entries[0].token, fresh.job_info):
                self.discard(fresh)
                return
            match = self._match(fresh)  # it has ended just now
        match match.step:
            case Step.SUBMIT:
                self._run.submit(fresh)
            case Step.REPLACE | Step.SHARE:
                self._replace(fresh, match)
            case Step.ADOPT | Step.TAKE:
                known = self._preparation.resume(match.entries[0], fresh.job_info)
                self._run.adopt(known, has_ended=match.step is Step.TAKE)
                self.discard(fresh)
                if known.went_ahead and not fresh.awaited:
                    self._run.note_works(known, fresh.works)
                    self._let_begin(known)

    def send(self, ready: ReadyJob, job_info: Any, behind: Sequence[Submission]) -> None:
        """Let in a job whose inputs may be still to be made.

        Args:
            ready: what is known of it.
            job_info: Snakemake's own record of it.
            behind: submissions of jobs that make its inputs, those that have not ended.
        """
        submission, _ = self._preparation.prepare(ready, job_info, behind)
        self.admit(submission)

    def discard(self, fresh: Submission) -> None:
        """Note that a submission is not sent, because another one serves its job: it looks into no run directory."""
        with self._run.paused():
            self._run.tidying.release(fresh.upstream)

    def drop(self, items: Sequence[Submission]) -> None:
        """End jobs that nobody wants any more; nothing is reported of them."""
        self._run.drop(items)
        self._canceller.order_aside(items)

    def _match(self, fresh: Submission) -> Match:
        return self._legacy.match(
            fresh.works,
            fresh.request,
            fresh.attempt,
            lambda unversioned: works_of(fresh.job_info.job, unversioned),
            fresh.awaited,
        )

    def _replace(self, fresh: Submission, match: Match) -> None:
        olds = [self._preparation.resume(entry) for entry in match.entries]
        jobids = ", ".join(old.external_jobid or f"unknown (token {old.token})" for old in olds)
        reason = match.reason or "it is being cancelled"
        self._say(
            f"Rule {fresh.rule}: what an earlier run submitted ({jobids}) does not serve, {reason}; the job is "
            "submitted anew when nothing of it can run any more."
        )
        self._run.submit(fresh, after=olds)
        pairs = zip(olds, match.entries, strict=True)
        alive = [old for old, entry in pairs if old.is_replaced and self._legacy.is_listed_alive(entry)]
        self._canceller.order_aside(alive)
