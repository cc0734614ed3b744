"""How fast jobs that are ready are submitted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.spool import launcher_below, new_token
from tests.benchmarks.distance import distant
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


_WAY_SECONDS = 0.02
"""One way to a gateway that is elsewhere, as a real one is."""

_NEAR, _FAR = "on this machine", f"{round(2000 * _WAY_SECONDS)} ms away"


def _bare(connections: int, place: str) -> str:
    return f"bare loop, {connections} connections, gateway {place} [jobs/s]"


def _ours(connections: int, place: str) -> str:
    return f"frceapi, {connections} connections, gateway {place} [jobs/s]"


_SLURM = "slurm plugin, local sbatch [jobs/s]"
_GENERIC = "cluster-generic, local sbatch [jobs/s]"


def _near(stage: Stage) -> Figures:
    return _against_the_bare_loop(stage, stage.rig.web.url, _NEAR)


def _far(stage: Stage) -> Figures:
    with _far_url(stage) as url:
        return _against_the_bare_loop(stage, url, _FAR)


def _peers(stage: Stage) -> Figures:
    stage.rig.slurm.hold()
    return {_SLURM: _rate(stage, SLURM), _GENERIC: _rate(stage, CLUSTER_GENERIC)}


def _against_the_bare_loop(stage: Stage, url: str, place: str) -> Figures:
    stage.rig.slurm.hold()
    figures = {}
    for connections in (_DEFAULT, _MANY):
        # Before and after: Slurm takes the longer for a job the more it has of them.
        before = _bare_rate(stage, url, connections)
        options = f"--frceapi-max-connections={connections}", f"--frceapi-url={url}"
        figures[_ours(connections, place)] = _rate(stage, OURS, *options)
        figures[_bare(connections, place)] = fmean([before, _bare_rate(stage, url, connections)])
    return figures


@contextmanager
def _far_url(stage: Stage) -> Iterator[str]:
    url = urlsplit(stage.rig.web.url)
    assert url.port
    with distant(url.port, _WAY_SECONDS) as port:
        yield url._replace(netloc=f"{url.hostname}:{port}").geturl()


def _rate(stage: Stage, peer: Peer, *options: str) -> float:
    with stage.desk(in_memory=True) as desk:
        write_workflow(desk, _COUNT)
        free = (f"--jobs={_COUNT}", "--max-jobs-per-timespan=1000/1s")
        return measure(desk, peer, *free, *options, most=_COUNT).submissions_per_second


def _bare_rate(stage: Stage, url: str, connections: int) -> float:
    with stage.desk() as desk:
        command = [sys.executable, "-P", str(_BARE_LOOP), f"{url}/submit_job"]
        return float(run([*command, str(connections), str(_COUNT)], desk.environment, _body(desk)))


def _body(desk: Desk) -> str:
    """Return a submission of the size and the kind that this plugin sends."""
    script = launcher_below(desk.directory / ".snakemake" / "frceapi" / "user", new_token())
    asked = {"partition": "norm", "ntasks": 1, "cpus-per-task": 1, "mem-per-cpu": 400}
    return json.dumps({**asked, "script-body": script})


def _against_bare(connections: int, place: str) -> Target:
    return Target(
        text=f"submission rate against a bare loop with as many connections, {connections}, gateway {place}",
        of=_ours(connections, place),
        against=_bare(connections, place),
        limit=0.9,
        at_least=True,
    )


SCENARIO = Scenario(
    name="submission",
    title=f"{_COUNT} jobs that are ready at once, from their arrival at the executor to the last submission",
    measure=_near,
    rounds=7,
    also={_far: 2, _peers: 2},
    targets=(
        *(_against_bare(connections, place) for place in (_NEAR, _FAR) for connections in (_DEFAULT, _MANY)),
        Target(
            text="submission rate with 16 connections against the slurm plugin's local sbatch",
            of=_ours(_MANY, _NEAR),
            against=_SLURM,
            limit=1.1,
            at_least=True,
        ),
    ),
)
