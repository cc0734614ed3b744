"""Keeps the news of jobs that went ahead until Snakemake comes to them; nobody waits for them before."""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.chronicle import Chronicle
from snakemake_executor_plugin_frceapi.ports import Reporter
from snakemake_executor_plugin_frceapi.submission import Result, Submission


class Attendance:
    """A reporter that passes on the news of the jobs that Snakemake has asked for, and keeps those of others.

    Args:
        reporter: who gets the news.
        chronicle: keeps what became of each job, whoever waits for it.
    """

    def __init__(self, reporter: Reporter, chronicle: Chronicle) -> None:
        self._reporter = reporter
        self._chronicle = chronicle
        self.say = reporter.say
        self.warn = reporter.warn

    def submitted(self, submission: Submission) -> None:
        """The API has taken a job."""
        self._chronicle.note_submitted(submission)
        if submission.is_ahead:
            submission.on_accepted()
        else:
            self._reporter.submitted(submission)

    def succeeded(self, submission: Submission) -> None:
        """A job has ended well."""
        self._chronicle.note_ended(submission, succeeded=True)
        submission.result = Result(succeeded=True)
        if not submission.is_ahead:
            self._reporter.succeeded(submission)

    def failed(self, submission: Submission, message: str) -> None:
        """A job has failed."""
        self._chronicle.note_ended(submission, succeeded=False)
        submission.result = Result(succeeded=False, message=message)
        if not submission.is_ahead:
            self._reporter.failed(submission, message)

    def attach(self, submission: Submission) -> None:
        """Catch up on the news of a job that Snakemake has come to."""
        if submission.external_jobid is not None:
            self._reporter.submitted(submission)
        if submission.result is not None and submission.result.succeeded:
            self._reporter.succeeded(submission)
        elif submission.result is not None:
            self._reporter.failed(submission, submission.result.message)
