"""What Snakemake's main process spends on 1,000 and on 10,000 jobs, which end as they are submitted."""

from __future__ import annotations

from statistics import fmean

from tests.benchmarks.instant import instant_cluster
from tests.benchmarks.measured import measure
from tests.benchmarks.payload import write_workflow
from tests.benchmarks.peers import CLUSTER_GENERIC, NOTHING, OURS, SLURM, Peer
from tests.benchmarks.scenario import Figures, Scenario, Target
from tests.benchmarks.stage import Stage

_FEW, _MANY = 1_000, 10_000


def _cpu(peer: Peer, count: int) -> str:
    return f"{peer.name}, main process, CPU per job of {count:,} [ms]"


def _children(peer: Peer, count: int) -> str:
    return f"{peer.name}, CPU per job of {count:,} of the processes that it starts [ms]"


def _own(peer: Peer, count: int) -> str:
    return f"{peer.name}, plugin's own part of that, of {count:,} [ms]"


def _peak(peer: Peer, count: int) -> str:
    return f"{peer.name}, peak memory with {count:,} jobs [MB]"


def _round(stage: Stage) -> Figures:
    submit = "--cluster-generic-submit-cmd=submit"
    before = _figures(stage, OURS, _FEW)
    figures = {
        **_figures(stage, SLURM, _FEW),
        **_figures(stage, CLUSTER_GENERIC, _FEW, submit),
        **_figures(stage, NOTHING, _FEW),
        **_figures(stage, OURS, _MANY),
    }
    # What all the others are compared with is measured on both sides of them: a machine is a faster one at times.
    after = _figures(stage, OURS, _FEW)
    return {**{name: fmean([value, after[name]]) for name, value in before.items()}, **figures}


def _figures(stage: Stage, peer: Peer, count: int, *options: str) -> Figures:
    with stage.desk(in_memory=True) as desk, instant_cluster(stage.rig, desk) as payload:
        write_workflow(desk, count)
        free = (f"--jobs={count}", "--max-jobs-per-timespan=10000/1s", "--quiet=all")
        measured = measure(desk, peer, *payload, *free, *peer.tuned, *options)
    return {
        _cpu(peer, count): 1000 * measured.cpu_seconds / count,
        _children(peer, count): 1000 * measured.children_cpu_seconds / count,
        _own(peer, count): 1000 * measured.own_cpu_seconds / count,
        _peak(peer, count): measured.peak_bytes / 2**20,
    }


SCENARIO = Scenario(
    name="many",
    title=f"main process with {_FEW:,} and {_MANY:,} jobs that end without being run",
    measure=_round,
    rounds=1,
    targets=(
        Target(
            text=f"main-process CPU per job at {_FEW:,} jobs, against the slurm plugin",
            of=_cpu(OURS, _FEW),
            against=_cpu(SLURM, _FEW),
            limit=0.7,
        ),
        Target(
            text=f"this plugin's own CPU per job at {_MANY:,} against {_FEW:,} jobs",
            of=_own(OURS, _MANY),
            against=_own(OURS, _FEW),
            limit=1.1,
        ),
    ),
)
