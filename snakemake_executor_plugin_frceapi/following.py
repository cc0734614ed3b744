"""Does for Snakemake what is to be done as jobs end that Snakemake takes for finished since they were submitted.

The Snakemake inside a job has made, touched, checked and protected its outputs. What is left is the record of a job
that ended well, and the outputs of one that did not. Snakemake's own objects are used, not its interface.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from snakemake_executor_plugin_frceapi.bookkeeping import evaluate_anew, record, remove_outputs
from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.recovery import Legacy
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause


class Following:
    """Follows the jobs of a run for Snakemake.

    Args:
        workflow: Snakemake's workflow.
        run: the jobs.
        legacy: what earlier runs have left.
        spool: the run directory.
        progress: tells the user how far a job has come.
        show_error: shows why a job failed, given Snakemake's own record of it, a message, and its logs.
    """

    def __init__(
        self,
        workflow: Any,
        run: Run,
        legacy: Legacy,
        spool: Spool,
        progress: Callable[[str], None],
        show_error: Callable[..., None],
    ) -> None:
        self._workflow = workflow
        self._run = run
        self._legacy = legacy
        self._spool = spool
        self._progress = progress
        self._show_error = show_error
        self._shows_progress = False

    def walk(self, job: Any) -> None:
        """Let Snakemake take a job for finished, so that it hands over those behind it.

        Until `end_walk` it believes in a dry run, because otherwise it would touch, make, protect and record outputs of
        jobs that have not run.
        """
        self._workflow.executor_plugin.common_settings.dryrun_exec = True
        self._workflow.scheduler.print_progress = False  # nothing has been done
        self._workflow.scheduler.submit_callback(job)

    def end_walk(self) -> None:
        """Note that Snakemake has taken all those jobs for finished."""
        self._workflow.executor_plugin.common_settings.dryrun_exec = False

    def begin(self, *, shows_progress: bool) -> None:
        """Let Snakemake count the jobs that have ended, instead of those that it has taken for finished.

        Args:
            shows_progress: whether the user is told of each.
        """
        self._shows_progress = shows_progress
        self._workflow.scheduler.finished_jobs = 0

    def has_begun(self, submission: Submission) -> bool:
        """Return whether a job of a submission has begun."""
        return self._spool.claimed_by(submission.token) is not None

    def ended(self, submission: Submission) -> None:
        """Record the jobs of a submission that has ended well."""
        self._legacy.note_ended(submission.token)
        end = submission.history.end
        for info in submission.job_infos:
            for job in members_of(info.job):
                with suppress(Exception):  # no record, as where Snakemake was not there
                    evaluate_anew(job)
                    record(self._workflow, job, end.start if end else inf)
            self._show_progress(info.job)
        self._run.note_settled(submission.token)

    def failed(self, submission: Submission, message: str) -> None:
        """Show why a job failed, and remove what it has left."""
        self._legacy.note_failed(submission.token)
        end = submission.history.end
        logs = [str(submission.log)] if submission.log.exists() else []
        for info in submission.job_infos:
            self._show_error(info, message, aux_logs=logs)
            for job in members_of(info.job):
                with suppress(Exception):  # a file system that fails now leaves a marker that says so
                    by_itself = end is not None and end.cause is Cause.OWN
                    remove_outputs(self._workflow, job, has_ended_by_itself=by_itself)

    def _show_progress(self, job: Any) -> None:
        if self._shows_progress:
            for member in members_of(job):
                self._progress(f"Finished jobid: {member.jobid} (Rule: {member.rule.name})")
            self._workflow.scheduler.finished_jobs += len(job)
            self._workflow.scheduler.progress()
