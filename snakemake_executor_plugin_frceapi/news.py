"""What a run tells, kept for a thread that waits for it."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from enum import Enum, auto, unique

from snakemake_executor_plugin_frceapi.errors import RunFailed
from snakemake_executor_plugin_frceapi.ports import Narrator
from snakemake_executor_plugin_frceapi.submission import Submission


@unique
class What(Enum):
    """What has become of a submission."""

    SUBMITTED = auto()
    SUCCEEDED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news.

    Attributes:
        what: what has become of the submission.
        submission: the submission.
        message: what the user is told of a failure.
    """

    what: What
    submission: Submission
    message: str = ""


class NewsQueue:
    """A reporter that keeps the news until somebody fetches them, in the order in which they came.

    Args:
        reporter: whoever shows the user lines.
    """

    def __init__(self, reporter: Narrator) -> None:
        self.say = reporter.say
        self.progress = reporter.progress
        self.warn = reporter.warn
        self._queue: queue.SimpleQueue[News | RunFailed] = queue.SimpleQueue()

    def submitted(self, submission: Submission) -> None:
        """The API has taken a job."""
        self._queue.put(News(What.SUBMITTED, submission))

    def succeeded(self, submission: Submission) -> None:
        """A job has ended well."""
        self._queue.put(News(What.SUCCEEDED, submission))

    def failed(self, submission: Submission, message: str) -> None:
        """A job has failed; it is over."""
        self._queue.put(News(What.FAILED, submission, message))

    def stop(self, message: str) -> None:
        """The run cannot go on; there are no more news."""
        self._queue.put(RunFailed(message))

    def next(self, timeout_seconds: float) -> News | None:
        """Wait for the next news and return them, None if there are none in time.

        Raises:
            RunFailed: the run cannot go on.
        """
        try:
            news = self._queue.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        if isinstance(news, RunFailed):
            raise news
        return news
