"""What a user is told about jobs that go on: once, whatever their number."""

from __future__ import annotations

from collections.abc import Callable

from snakemake_executor_plugin_frceapi.granted import GrantCheck
from snakemake_executor_plugin_frceapi.job import JobState, JobStatus
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission

_MOST_LOOKS = 10


class Remarks:
    """Warns of states that nobody knows, and of jobs that got something else than was asked for.

    Args:
        spool: the run directory.
        warn: receives lines for the user.
    """

    def __init__(self, spool: Spool, warn: Callable[[str], None]) -> None:
        self._spool = spool
        self._warn = warn
        self._grants = GrantCheck()
        self._odd_words: set[str] = set()
        self._looks = 0

    def on_listing(self) -> None:
        """Begin to look at the rows of a new listing."""
        self._looks = _MOST_LOOKS

    def on_listed(self, item: Submission, status: JobStatus) -> None:
        """Look at a row of the listing; at a few of those that run, because there may be thousands of them."""
        if status.state is JobState.RUNNING:
            if self._looks and self._grants.is_due(item.request):
                self._looks -= 1
                self.on_started(item)
        elif status.state is JobState.UNKNOWN and status.state_word not in self._odd_words:
            word = status.state_word
            self._odd_words.add(word)
            self._warn(f"The API lists a job as {word!r}, which is no state of sacct(1): it counts as active.")

    def on_doubt(self, listed: int, known: int) -> None:
        """Tell that most jobs are gone from the listing at once."""
        self._warn(
            f"The API lists only {listed} of {known} jobs that it has listed before; what is missing counts as "
            "unchanged."
        )

    def on_started(self, item: Submission) -> None:
        """Look at what a job that has started was given."""
        if self._grants.is_due(item.request) and (start := self._spool.start(item.token)):
            for line in self._grants.warnings(start.external_jobid, item.request, start.given):
                self._warn(line)
