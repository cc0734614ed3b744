"""How fast jobs that are ready are submitted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from snakemake_executor_plugin_frceapi.jobscript import launcher
from tests.benchmarks.measured import measure
from tests.benchmarks.payload import write_workflow
from tests.benchmarks.peers import CLUSTER_GENERIC, OURS, SLURM, Peer
from tests.benchmarks.scenario import Figures, Scenario, Target
from tests.benchmarks.stage import Stage
from tests.cluster.daemons import run
from tests.cluster.desk import Desk

_COUNT = 200
_DEFAULT, _MANY = 4, 16
_BARE_LOOP = Path(__file__).with_name("bare_loop.py")


def _bare(connections: int) -> str:
    return f"bare loop, {connections} connections [jobs/s]"


def _ours(connections: int) -> str:
    return f"frceapi, {connections} connections [jobs/s]"


_SLURM = "slurm plugin, local sbatch [jobs/s]"
_GENERIC = "cluster-generic, local sbatch [jobs/s]"


def _round(stage: Stage) -> Figures:
    stage.rig.slurm.hold()
    figures = {}
    for connections in (_DEFAULT, _MANY):
        figures[_bare(connections)] = _bare_rate(stage, connections)
        figures[_ours(connections)] = _rate(stage, OURS, f"--frceapi-max-connections={connections}")
    return {**figures, _SLURM: _rate(stage, SLURM), _GENERIC: _rate(stage, CLUSTER_GENERIC)}


def _rate(stage: Stage, peer: Peer, *options: str) -> float:
    with stage.desk() as desk:
        write_workflow(desk, _COUNT)
        free = (f"--jobs={_COUNT}", "--max-jobs-per-timespan=1000/1s")
        return measure(desk, peer, *free, *options, most=_COUNT).submissions_per_second


def _bare_rate(stage: Stage, connections: int) -> float:
    with stage.desk() as desk:
        command = [sys.executable, "-P", str(_BARE_LOOP), f"{stage.rig.web.url}/submit_job"]
        return float(run([*command, str(connections), str(_COUNT)], desk.environment, _body(desk)))


def _body(desk: Desk) -> str:
    """Return a submission of the size and the kind that this plugin sends."""
    script = launcher(desk.directory / ".snakemake" / "frceapi" / "user" / "jobs" / ("0" * 32))
    asked = {"partition": "norm", "ntasks": 1, "cpus-per-task": 1, "mem-per-cpu": 400}
    return json.dumps({**asked, "script-body": script})


SCENARIO = Scenario(
    name="submission",
    title=f"{_COUNT} jobs that are ready at once, from their arrival at the executor to the last submission",
    measure=_round,
    rounds=3,
    targets=(
        Target(
            text="submission rate against a bare loop with as many connections",
            of=_ours(_DEFAULT),
            against=_bare(_DEFAULT),
            limit=0.9,
            at_least=True,
        ),
        Target(
            text="the same with 16 connections",
            of=_ours(_MANY),
            against=_bare(_MANY),
            limit=0.9,
            at_least=True,
        ),
        Target(
            text="submission rate with 16 connections against the slurm plugin's local sbatch",
            of=_ours(_MANY),
            against=_SLURM,
            limit=1.1,
            at_least=True,
        ),
    ),
)
