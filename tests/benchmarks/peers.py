"""The executors that are compared, and how each is told to use the test cluster."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.desk import Desk
from tests.cluster.programs import put_first
from tests.slurm_plugin import PLACE as SLURM_PLUGIN

_CLUSTER_GENERIC = Path(sys.prefix) / "cluster-generic-plugin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An executor.

    Attributes:
        name: as in the table.
        arguments: the executor, and what its jobs ask for; the same for all.
        tuned: what makes it notice ends as soon as it can: every second.
        place: where its plugin is, None: where Snakemake finds it anyway.
        uses_slurm: whether it calls Slurm's own programs.
    """

    name: str
    arguments: tuple[str, ...]
    tuned: tuple[str, ...] = ()
    place: Path | None = None
    uses_slurm: bool = False

    def sit_down(self, desk: Desk) -> None:
        """Let the runs of a desk use it, at its defaults."""
        desk.defaults = ["--nocolor", *self.arguments]
        if self.uses_slurm:
            desk.environment.update(desk.rig.slurm.environment)
            put_first(desk, {"srun": _srun(desk)})
        if self.place:
            path = filter(None, [str(self.place), desk.environment.get("PYTHONPATH")])
            desk.environment["PYTHONPATH"] = os.pathsep.join(path)


def _srun(desk: Desk) -> str:
    """The slurm plugin's jobs forget SLURM_CONF, which nobody needs whose cluster is described in /etc/slurm."""
    configuration = desk.rig.slurm.environment["SLURM_CONF"]
    return f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n'


_EVERY_SECOND = ("--seconds-between-status-checks=1", "--max-status-checks-per-second=1000")

OURS = Peer(
    name="frceapi",
    arguments=("--executor=frceapi", "--frceapi-partition=norm", "--frceapi-default-mem-mb-per-cpu=400"),
    tuned=_EVERY_SECOND,
)

# The test cluster has no accounting, so squeue(1) stands in for sacct(1), which is the default and no faster.
SLURM = Peer(
    name="slurm plugin",
    arguments=(
        "--executor=slurm",
        "--slurm-status-command=squeue",
        "--default-resources",
        "slurm_partition=norm",
        "slurm_account=lab",
        "mem_mb_per_cpu=400",
        "runtime=60",
    ),
    tuned=(*_EVERY_SECOND, "--slurm-init-seconds-before-status-checks=1"),
    place=SLURM_PLUGIN,
    uses_slurm=True,
)

CLUSTER_GENERIC = Peer(
    name="cluster-generic",
    arguments=(
        "--executor=cluster-generic",
        "--cluster-generic-submit-cmd=sbatch --parsable --partition=norm --mem-per-cpu=400 --time=60 --output=%j.out",
        "--cluster-generic-cancel-cmd=scancel",
    ),
    tuned=_EVERY_SECOND,
    place=_CLUSTER_GENERIC,
    uses_slurm=True,
)

LOCAL = Peer(name="local", arguments=("--executor=local",))

NOTHING = Peer(
    name="executor that does nothing",
    arguments=("--executor=nothing",),
    tuned=_EVERY_SECOND,
    place=Path(__file__).with_name("plugins"),
)
