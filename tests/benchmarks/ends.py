"""How soon Snakemake knows that a job has ended, how soon it ends after the last, and how long it takes to start."""

from __future__ import annotations

from statistics import median

from tests.benchmarks.measured import Measured, measure
from tests.benchmarks.payload import ends, use_payload, write_workflow
from tests.benchmarks.peers import CLUSTER_GENERIC, LOCAL, OURS, SLURM, Peer
from tests.benchmarks.scenario import Figures, Scenario, Target
from tests.benchmarks.stage import Stage

_COUNT = 20
_INTERVAL_SECONDS = 15

# A job of Snakemake's own at the end, such as rule all, would keep every executor's run alive for a second: Snakemake
# waits for a timer that it starts with each job.
_TARGETS = [f"out/{n}" for n in range(_COUNT)]

# Jobs that begin together end one after the other, between two looks of whoever asks every 15 s.
_WORK = 'n=${1##*/}; sleep "$((n / 2)).$((n % 2 * 5))"'


def _knows(peer: Peer) -> str:
    return f"{peer.name}, end of a job until Snakemake knows [s]"


def _leaves(peer: Peer) -> str:
    return f"{peer.name}, end of the last job until the end of the process [s]"


def _starts(peer: Peer) -> str:
    return f"{peer.name}, start of the process until the first job is submitted [s]"


_EVERY = f"--seconds-between-status-checks={_INTERVAL_SECONDS}"


def _round(stage: Stage) -> Figures:
    return {**_figures(stage, OURS, _EVERY), **_local(stage)}


def _others(stage: Stage) -> Figures:
    return {
        **_figures(stage, CLUSTER_GENERIC, _EVERY),
        **_figures(stage, SLURM, _EVERY, f"--slurm-init-seconds-before-status-checks={_INTERVAL_SECONDS}"),
    }


def _figures(stage: Stage, peer: Peer, *options: str) -> Figures:
    with stage.desk() as desk:
        write_workflow(desk, _COUNT)
        measured = measure(desk, peer, *use_payload(desk, _WORK), *options, f"--jobs={_COUNT}", *_TARGETS)
        ended = ends(desk.directory)
    known = [moment - ended[name] for moment, name in measured.succeeded if name in ended]
    assert len(known) == _COUNT
    return {
        _starts(peer): measured.start_seconds,
        _knows(peer): median(known),
        _leaves(peer): measured.ended - max(ended.values()),
    }


def _local(stage: Stage) -> Figures:
    """The same of Snakemake's own executor, where a job's end is nothing that it has to learn of."""
    with stage.desk() as desk:
        write_workflow(desk, 1)
        measured: Measured = measure(desk, LOCAL, "--cores=2", _TARGETS[0])
    last = measured.succeeded[-1][0]
    return {_starts(LOCAL): measured.start_seconds, _leaves(LOCAL): measured.ended - last}


SCENARIO = Scenario(
    name="ends",
    title=f"start-up, {_COUNT} jobs that end one after the other, and the end; the cluster asked every 15 s",
    measure=_round,
    rounds=2,
    asides=(_others,),
    targets=(
        Target(text="end of a job until Snakemake knows, API asked every 15 s [s]", of=_knows(OURS), limit=1.0),
        Target(text="end of the last job until the end of the process [s]", of=_leaves(OURS), limit=1.0),
    ),
)
