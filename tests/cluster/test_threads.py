"""Many threads with one client, as the executor uses it: submitters beside a poller."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.job import Accepted, JobRequest
from snakemake_executor_plugin_frceapi.wire import Encoding, encode_request

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_THREADS = 8


@pytest.mark.parametrize("requests", [240, pytest.param(2000, marks=pytest.mark.long)])
def test_threads_that_submit_beside_one_that_polls(desk: Desk, requests: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every submission is accepted under an id of its own, and every listing is valid."""
    for name in ("KRB5_CONFIG", "KRB5CCNAME"):
        monkeypatch.setenv(name, desk.environment[name])
    # More than the node has: the jobs wait, and the machine is left alone.
    body = encode_request(JobRequest(partition="norm", cpus_per_task=1000), "#!/bin/sh\n", Encoding())
    client = Client(ClientConfig(desk.rig.web.url, ca_bundle=desk.rig.ca_bundle))
    with ThreadPoolExecutor(_THREADS + 1) as pool:
        polls = pool.submit(lambda: [client.query_status() for _ in range(requests // 2)])
        outcomes = list(pool.map(lambda _: client.submit_job(body), range(requests // 2)))
        listings = polls.result()
    client.close()

    ids = [outcome.external_jobid for outcome in outcomes if isinstance(outcome, Accepted)]
    assert len(set(ids)) == requests // 2, [outcome for outcome in outcomes if not isinstance(outcome, Accepted)][:3]
    assert len(listings) == requests // 2
