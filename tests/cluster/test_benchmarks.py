"""What benchmarks rest on: the probe inside Snakemake and the payload of the jobs; no time is judged here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.measured import measure
from tests.benchmarks.payload import ends, use_payload, write_workflow
from tests.benchmarks.peers import CLUSTER_GENERIC, OURS, Peer

if TYPE_CHECKING:
    from tests.cluster.desk import Desk


@pytest.mark.parametrize("peer", [OURS, CLUSTER_GENERIC], ids=lambda peer: peer.name)
def test_run_is_measured(desk: Desk, peer: Peer) -> None:
    """Each executor's submissions, ends and CPU time are noted, and each job notes its end."""
    if peer.place and not peer.place.exists():
        pytest.skip(f"{peer.name} is not installed; type: scripts/setup dev")
    write_workflow(desk, 2)
    measured = measure(desk, peer, *use_payload(desk), *peer.tuned, "--jobs=2")
    ended = ends(desk.directory)

    assert set(ended) == {"out/0", "out/1"}
    assert {name for _, name in measured.submitted if name} == set(ended)
    assert {name for moment, name in measured.succeeded if name and moment > ended[name]} == set(ended)
    assert measured.begun < measured.handed_over[0] < measured.submitted[0][0] < measured.ended
    assert 0 < measured.own_cpu_seconds < measured.cpu_seconds
    assert measured.peak_bytes > 0
