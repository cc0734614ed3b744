"""One job, 300 that need it, and one that needs them all; and what that asks of the API."""

from __future__ import annotations

import re

from tests.benchmarks.measured import measure
from tests.benchmarks.payload import use_payload
from tests.benchmarks.peers import CLUSTER_GENERIC, OURS, SLURM, Peer
from tests.benchmarks.scenario import Figures, Scenario, Target
from tests.benchmarks.stage import Stage

_WIDTH = 300
_WORKFLOW = f"""
    rule all:
        input: "out/last"
        localrule: True
    rule last:
        input: expand("out/{{n}}", n=range({_WIDTH}))
        output: "out/{{n,last}}"
        shell: "touch {{output}}"
    rule first:
        output: "out/{{n,first}}"
        shell: "touch {{output}}"
    rule one:
        input: "out/first"
        output: "out/{{n,[0-9]+}}"
        shell: "touch {{output}}"
"""
_REQUEST = re.compile(r'"(GET|POST) \S+/(?:query_status|submit_job) [^"]*" 200 (\S+) (\S+)$', re.MULTILINE)
_USED = "frceapi, part of the status requests that are allowed"


def _round(stage: Stage) -> Figures:
    log = stage.rig.web.access_log
    before = log.stat().st_size
    seconds = _run(stage, OURS)
    return {
        _time(OURS): seconds,
        _time(CLUSTER_GENERIC): _run(stage, CLUSTER_GENERIC),
        _time(SLURM): _run(stage, SLURM),
        **requests(log.read_text("utf-8")[before:], seconds),
    }


def _time(peer: Peer) -> str:
    return f"{peer.name}, polling every second [s]"


def _run(stage: Stage, peer: Peer) -> float:
    with stage.desk() as desk:
        desk.write("Snakefile", _WORKFLOW)
        return measure(desk, peer, *use_payload(desk), f"--jobs={_WIDTH}", *peer.tuned).seconds


def requests(log: str, seconds: float) -> Figures:
    """Return what lines of the server's log tell of the requests of a run that asked every second.

    Args:
        log: the lines.
        seconds: how long the run took.
    """
    found = [(method, came, went) for method, came, went in _REQUEST.findall(log)]
    posted = [int(came) for method, came, _ in found if method == "POST"]
    listed = [int(went) for method, _, went in found if method == "GET"]
    return {
        "frceapi, submissions": len(posted),
        "frceapi, largest submission [B]": max(posted, default=0),
        "frceapi, status requests": len(listed),
        "frceapi, largest listing [B]": max(listed, default=0),
        _USED: len(listed) / (seconds + 2),
    }


SCENARIO = Scenario(
    name="fan",
    title=f"fan-out to {_WIDTH} jobs and fan-in, from the start of Snakemake to its end, and the requests for it",
    measure=_round,
    rounds=1,
    targets=(Target(text="status requests / (duration / max(interval, 1 s) + 2)", of=_USED, limit=1.0),),
)
