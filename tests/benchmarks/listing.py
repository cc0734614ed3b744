"""One status round where the API lists 100,000 jobs, of which 1,000 are this run's."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from tests.benchmarks.scenario import Figures, Scenario
from tests.benchmarks.stage import Stage
from tests.faults.stepped import SteppedRun
from tests.raw_server import RawServer, answer, say

_LISTED, _OURS = 100_000, 1_000
_ROW = {"user": "someone", "name": "hpcapi", "partition": "norm", "start": "2026-01-01T00:00:00", "end": "Unknown"}


def _round(stage: Stage) -> Figures:
    """Ask and look once; the cluster is not needed."""
    rows = {str(number): {**_ROW, "state": "RUNNING"} for number in range(1, _LISTED + 1)}
    listing = json.dumps({"status": "call_success", **rows, "reason": "query_success"}).encode()
    with RawServer(say(answer(listing))) as server, tempfile.TemporaryDirectory() as place:
        client = Client(ClientConfig(server.url(), auth="none"))
        run = SteppedRun(Path(place))
        for number in range(_OURS):
            run.run.submit(run.submission(f"job-{number}", has_directory=False))
        run.step()
        begun, begun_cpu = time.perf_counter(), time.process_time()
        found = client.query_status([item.external_jobid for item in run.run.live if item.external_jobid])
        asked, asked_cpu = time.perf_counter(), time.process_time()
        run.service.listed = dict(found.jobs)
        run.steps(10, every=10)
        looked_cpu = time.process_time()
        run.journal.close()
    return {
        f"request, {len(listing) / 1e6:.0f} MB [s]": asked - begun,
        "request, CPU with that of the server [s]": asked_cpu - begun_cpu,
        "round that follows, CPU [s]": looked_cpu - asked_cpu,
    }


SCENARIO = Scenario(
    name="listing",
    title=f"one status round with {_LISTED:,} listed jobs, {_OURS:,} of them this run's",
    measure=_round,
    rounds=3,
)
