"""What an installed plugin adds to every call of Snakemake."""

from __future__ import annotations

import os
import sys
from statistics import median

from tests.benchmarks.peers import CLUSTER_GENERIC, SLURM
from tests.benchmarks.scenario import Figures, Scenario, Target
from tests.benchmarks.stage import Stage
from tests.cluster.daemons import run

_PROGRAM = """\
import importlib
import time

import_module, seconds = importlib.import_module, {{}}

def timed(name, package=None):
    begun = time.perf_counter()
    module = import_module(name, package)
    for asked in ("Executor", "ExecutorSettings", "common_settings"):
        getattr(module, asked, None)
    seconds.setdefault(name, time.perf_counter() - begun)
    return module

importlib.import_module = timed
import snakemake.cli
print(seconds["snakemake_executor_plugin_{name}"])
"""
"""Measures the one import that Snakemake makes of each plugin that it finds, with what it asks of that next."""

_TIMES = 3
_OURS = "frceapi [ms]"


def _round(stage: Stage) -> Figures:
    """Import Snakemake into fresh processes; the cluster is not needed."""
    figures = {_OURS: _milliseconds("frceapi")}
    for name, peer in (("slurm", SLURM), ("cluster_generic", CLUSTER_GENERIC)):
        figures[f"{peer.name} [ms]"] = _milliseconds(name, str(peer.place))
    return figures


def _milliseconds(name: str, place: str = "") -> float:
    path = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", _PROGRAM.format(name=name)]
    return 1000 * median(float(run(command, {"PYTHONPATH": path})) for _ in range(_TIMES))


SCENARIO = Scenario(
    name="imports",
    title="what the installed plugin adds to the import of Snakemake",
    measure=_round,
    rounds=1,
    targets=(Target(text="added to the import of Snakemake by the installed plugin [ms]", of=_OURS, limit=30.0),),
)
