"""What does for a run, in the test's own process, what a courier does in another one."""

from __future__ import annotations

from typing import Any

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.courier.deliveries import Deliveries
from snakemake_executor_plugin_frceapi.job import SubmitOutcome
from snakemake_executor_plugin_frceapi.parcel import Parcel
from snakemake_executor_plugin_frceapi.run_directory import Leavings, clear_away


class Carrying:
    """A stand-in for the service that delivers parcels, by its `submit_job`, and clears away."""

    submit_job: Any
    _deliveries: Deliveries | None = None

    def deliver(self, parcel: Parcel) -> SubmitOutcome:
        """Deliver a parcel."""
        if self._deliveries is None:
            self._deliveries = Deliveries(self.submit_job)
        return self._deliveries.deliver(parcel)

    def clear_away(self, leavings: Leavings) -> None:
        """Clear away."""
        clear_away(leavings)

    def put_down(self) -> None:
        """Close what is open, as the end of a courier does."""
        if self._deliveries is not None:
            self._deliveries.close()
            self._deliveries = None


class Carried(Carrying):
    """A client and all that a run needs around it."""

    def __init__(self, client: Client) -> None:
        self.submit_job = client.submit_job
        self.query_status = client.query_status
        self._client = client

    def close(self) -> None:
        """End it."""
        self._client.close()
        self.put_down()


def carried(config: ClientConfig) -> Carried:
    """Return what a run needs, made here, in the place of a courier."""
    return Carried(Client(config))
