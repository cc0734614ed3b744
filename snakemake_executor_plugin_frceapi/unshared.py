"""A run whose jobs see no file of it: the journal stands where it always does, and no job has a run directory."""

from __future__ import annotations

from collections.abc import Collection

from snakemake_executor_plugin_frceapi.job import Listing
from snakemake_executor_plugin_frceapi.ports import Carrier
from snakemake_executor_plugin_frceapi.spool import Spool


class UnsharedSpool(Spool):
    """A run directory that no job sees: nothing of a job is ever found there, and all that is known is in the journal.

    Args:
        root: as for `Spool`; another one than that of runs whose jobs see it, because the two cannot take up each
            other's jobs.
    """

    is_shared = False

    def has_job(self, token: str) -> bool:  # noqa: ARG002 - it says the same of all
        """Return whether there is still something of a submission: what the journal says of it."""
        return True

    def order_cancel(self, token: str) -> bool:  # noqa: ARG002 - it says the same of all
        """Do nothing, because no job would see the order; all that can be done this way is done."""
        return True


class WholeListings:
    """A service whose listings always show all jobs of the user, not only those that were asked for.

    Args:
        service: the service.
    """

    def __init__(self, service: Carrier) -> None:
        self.submit_job = service.submit_job
        self.deliver = service.deliver
        self.clear_away = service.clear_away
        self._service = service

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:  # noqa: ARG002 - that is the point
        """Ask for the listing."""
        return self._service.query_status()
