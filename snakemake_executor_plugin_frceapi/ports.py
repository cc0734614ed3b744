"""What a run needs of the world around it: the service that takes the jobs, and somebody who wants the news."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from snakemake_executor_plugin_frceapi.job import Listing, SubmitOutcome
from snakemake_executor_plugin_frceapi.parcel import Parcel
from snakemake_executor_plugin_frceapi.run_directory import Leavings
from snakemake_executor_plugin_frceapi.submission import Submission


class Service(Protocol):
    """The two calls of the API."""

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Submit one job."""

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:
        """Ask for the listing."""


class Carrier(Service, Protocol):
    """The service, with somebody who does what is to be done with files around its calls."""

    def deliver(self, parcel: Parcel) -> SubmitOutcome:
        """Submit one job, with what is written down of it before and after."""

    def clear_away(self, leavings: Leavings) -> None:
        """Remove what nobody needs any more of jobs that have ended."""


class Reporter(Protocol):
    """Who wants to know what becomes of the jobs."""

    def submitted(self, submission: Submission) -> None:
        """The API has taken the job."""

    def succeeded(self, submission: Submission) -> None:
        """The job has ended well."""

    def failed(self, submission: Submission, message: str) -> None:
        """The job has failed; it is over."""

    def say(self, line: str) -> None:
        """Tell the user something."""

    def warn(self, line: str) -> None:
        """Tell the user something that wants attention."""


class Narrator(Reporter, Protocol):
    """A reporter that tells the user how far jobs have come as well."""

    def progress(self, line: str) -> None:
        """Tell how far a job has come, if that is wanted."""
