"""One POST of one submission, as a parcel that is delivered."""

from __future__ import annotations

import time
from collections.abc import Callable

from snakemake_executor_plugin_frceapi.courier.deliveries import cannot_be_written
from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import NotSent, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.journal import Journal
from snakemake_executor_plugin_frceapi.parcel import Parcel
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission


class Posting:
    """Posts submissions.

    Args:
        deliver: delivers a parcel.
        journal: this run's journal.
        spool: the run directory.
    """

    def __init__(self, deliver: Callable[[Parcel], SubmitOutcome], journal: Journal, spool: Spool) -> None:
        self._deliver = deliver
        self._journal = journal
        self._spool = spool

    def __call__(self, item: Submission) -> SubmitOutcome:
        """Post a submission once."""
        item.posts += 1
        begun = time.time()
        outcome = self._post(self._parcel(item))
        if not isinstance(outcome, NotSent):
            item.posted = item.posted or begun
            return outcome
        item.posts -= 1
        if not item.posts:
            self._journal.withdraw(item.token)
        return outcome

    def _parcel(self, item: Submission) -> Parcel:
        intent = self._journal.announce(item.entry())
        return Parcel(item.token, item.posts, str(self._journal.path), intent, item.run_directory, item.body, item.row)

    def _post(self, parcel: Parcel) -> SubmitOutcome:
        try:
            self._spool.write_shared()
        except OSError as error:
            return NotSent(TransientFault(cannot_be_written(error)))
        try:
            return self._deliver(parcel)
        except Exception as error:  # noqa: BLE001 - what a thread does not catch would lose the job without a word
            return Unknown(f"internal error: {type(error).__name__}: {error}")
