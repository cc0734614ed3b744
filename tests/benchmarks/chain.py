"""How long a chain of dependent jobs takes, each executor at its defaults and tuned, and with look-ahead."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from statistics import median

from snakemake_executor_plugin_frceapi.command import UNHINDERED
from tests.benchmarks.measured import measure
from tests.benchmarks.peers import CLUSTER_GENERIC, OURS, SLURM, Peer
from tests.benchmarks.scenario import Figures, Scenario, Target
from tests.benchmarks.stage import Stage
from tests.cluster.desk import Desk
from tests.cluster.slurm import Slurm

_LAST = 8
"""Dependent jobs, behind a first one."""

CHAIN = f"""
    rule all:
        input: "level/{_LAST}"
        localrule: True
    rule first:
        output: "level/0"
        shell: "echo 0 >{{output}}"
    rule next:
        input: lambda wildcards: f"level/{{int(wildcards.level) - 1}}"
        output: "level/{{level,[1-9][0-9]*}}"
        shell: "cp {{input}} {{output}}"
"""
AHEAD, NOT_AHEAD = "--frceapi-lookahead=20", "--frceapi-lookahead=0"
JOBS = "--jobs=20"

_OURS = "frceapi, defaults [s]"
_OURS_AHEAD = "frceapi, look-ahead, API asked every 30 s [s]"
_FLOOR = "job commands of any executor by hand + Slurm's own chain of true [s]"
_OWN_FLOOR = "frceapi's own job commands by hand + Slurm's own chain of true [s]"
_GATE = "frceapi, at the gate, median of the links [s]"
_GENERIC = "cluster-generic, defaults [s]"
_GENERIC_TUNED = "cluster-generic, polling every second [s]"
_SLURM = "slurm plugin, defaults [s]"
_SLURM_TUNED = "slurm plugin, polling every second [s]"


def chain_seconds(stage: Stage, peer: Peer, *options: str) -> float:
    """Return how long the chain takes with an executor, from the start of Snakemake to its end."""
    with stage.desk() as desk:
        desk.write("Snakefile", CHAIN)
        return measure(desk, peer, JOBS, *options).seconds


def _round(stage: Stage) -> Figures:
    with stage.desk() as desk:
        desk.write("Snakefile", CHAIN)
        ahead = measure(desk, OURS, JOBS, AHEAD, "--seconds-between-status-checks=30")
        own, others = _by_hand(desk, ahead.commands), _by_hand(desk, map(_as_others_do, ahead.commands))
    empty = _slurms_own_chain(stage.rig.slurm)
    return {
        _OURS_AHEAD: ahead.seconds,
        _GATE: median(ahead.gates),
        _FLOOR: others + empty,
        _OWN_FLOOR: own + empty,
        _OURS: chain_seconds(stage, OURS),
    }


def _generic(stage: Stage) -> Figures:
    return {_GENERIC_TUNED: chain_seconds(stage, CLUSTER_GENERIC, *CLUSTER_GENERIC.tuned)}


def _as_others_do(command: str) -> str:
    """Return a job command without what lets it end with its job, as Snakemake writes it for other executors."""
    ours = shlex.join(UNHINDERED)
    assert ours in command
    return command.replace(ours, "")


def _by_hand(desk: Desk, commands: Iterable[str]) -> float:
    """Run job commands once more, one after the other, and return the seconds that they took."""
    shutil.rmtree(desk.directory / "level")
    begun = time.monotonic()
    for text in commands:
        subprocess.run(
            ["/bin/bash"],
            input=text,
            cwd=desk.directory,
            env=desk.environment,
            capture_output=True,
            text=True,
            check=True,
        )
    seconds = time.monotonic() - begun
    assert (desk.directory / "level" / str(_LAST)).exists()
    return seconds


def _slurms_own_chain(slurm: Slurm) -> float:
    """Submit a chain of as many jobs that do nothing, and return the seconds until the last has ended."""
    begun, options = time.monotonic(), list[str]()
    for _ in range(_LAST + 1):
        job_id = slurm.run("sbatch", "--parsable", "--mem=400", "--output=/dev/null", *options, "--wrap=true").strip()
        options = [f"--dependency=afterok:{job_id}"]
    while slurm.job_ids():
        time.sleep(0.05)
    return time.monotonic() - begun


def _slurm_at_its_defaults(stage: Stage) -> Figures:
    return {_SLURM: chain_seconds(stage, SLURM)}


def _others_that_sleep(stage: Stage) -> Figures:
    return {_SLURM_TUNED: chain_seconds(stage, SLURM, *SLURM.tuned), _GENERIC: chain_seconds(stage, CLUSTER_GENERIC)}


def _targets() -> Sequence[Target]:
    defaults, tuned = "chain of 8, everyone's defaults", "chain of 8, look-ahead on, others polling every second"
    return (
        Target(text=f"{defaults}, against cluster-generic", of=_OURS, against=_GENERIC, limit=0.3),
        Target(text=f"{defaults}, against the slurm plugin", of=_OURS, against=_SLURM, limit=0.08),
        Target(text=f"{tuned}, against cluster-generic", of=_OURS_AHEAD, against=_GENERIC_TUNED, limit=0.9),
        Target(text=f"{tuned}, against the slurm plugin", of=_OURS_AHEAD, against=_SLURM_TUNED, limit=0.23),
        Target(
            text="chain of 8, look-ahead on, against the least that it can take",
            of=_OURS_AHEAD,
            against=_FLOOR,
            limit=1.2,
        ),
        Target(text="the gate's part of one link [s]", of=_GATE, limit=0.3),
    )


SCENARIO = Scenario(
    name="chain",
    title="a chain of 8 dependent jobs behind a first one, from the start of Snakemake to its end",
    measure=_round,
    rounds=2,
    also={_generic: 1},
    asides=(_slurm_at_its_defaults, _others_that_sleep),
    targets=_targets(),
)
