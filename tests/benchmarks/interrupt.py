"""How long it takes from Ctrl-C with 1,000 jobs in the queue until none is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.benchmarks.payload import write_workflow
from tests.benchmarks.peers import CLUSTER_GENERIC, OURS, SLURM, Peer
from tests.benchmarks.scenario import Figures, Scenario, Target
from tests.benchmarks.stage import Stage

_COUNT = 1000
_PATIENCE_SECONDS = 45.0


def _empty(peer: Peer) -> str:
    return f"{peer.name}, from Ctrl-C to an empty queue [s]"


def _over(peer: Peer) -> str:
    return f"{peer.name}, from Ctrl-C to the end of the process [s]"


def _round(stage: Stage) -> Figures:
    stage.rig.slurm.hold()
    figures: dict[str, float] = {}
    for peer in (OURS, CLUSTER_GENERIC, SLURM):
        figures |= _figures(stage, peer)
    return figures


def _figures(stage: Stage, peer: Peer) -> Figures:
    with stage.desk() as desk:
        write_workflow(desk, _COUNT)
        peer.sit_down(desk)
        running = desk.start(f"--jobs={_COUNT}", "--max-jobs-per-timespan=1000/1s")
        desk.wait_for(lambda: len(stage.rig.slurm.job_ids()) == _COUNT, "all jobs in the queue", _PATIENCE_SECONDS)
        running.interrupt()
        begun = time.monotonic()
        left = _first(lambda: running.process.poll() is not None, lambda: not stage.rig.slurm.job_ids())
    return {_over(peer): left[0] - begun, _empty(peer): left[1] - begun}


def _first(*conditions: Callable[[], bool]) -> list[float]:
    """Return when each of some conditions was first seen to hold; infinity: not in time."""
    seen = dict.fromkeys(conditions, float("inf"))
    until = time.monotonic() + _PATIENCE_SECONDS
    while float("inf") in seen.values() and time.monotonic() < until:
        for condition in conditions:
            if seen[condition] == float("inf") and condition():
                seen[condition] = time.monotonic()
        time.sleep(0.1)
    return list(seen.values())


SCENARIO = Scenario(
    name="interrupt",
    title=f"Ctrl-C with {_COUNT} jobs pending on an idle cluster",
    measure=_round,
    rounds=1,
    targets=(Target(text="from Ctrl-C with 1,000 jobs pending to an empty queue [s]", of=_empty(OURS), limit=10.0),),
)
