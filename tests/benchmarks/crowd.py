"""How much look-ahead saves on a chain of dependent jobs, on an idle cluster and where jobs of others wait, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tests.benchmarks.chain import AHEAD, NOT_AHEAD, chain_seconds
from tests.benchmarks.peers import OURS
from tests.benchmarks.scenario import Figures, Scenario
from tests.benchmarks.stage import Stage
from tests.cluster.rig import Rig
from tests.cluster.slurm import CPUS

_INTERVALS = (5, 10, 30)
_SIZE = 3
_SECONDS = 5


def _round(stage: Stage) -> Figures:
    figures = {}
    for place, others in (("idle", nullcontext()), ("crowded", _crowd(stage.rig))):
        with others:
            for interval in _INTERVALS:
                for words, option in (("without", NOT_AHEAD), ("with", AHEAD)):
                    seconds = chain_seconds(stage, OURS, option, f"--seconds-between-status-checks={interval}")
                    figures[f"{place}, API asked every {interval} s, {words} look-ahead [s]"] = seconds
    return figures


@contextmanager
def _crowd(rig: Rig) -> Iterator[None]:
    """Let three jobs of others, each of which fills the cluster for five seconds, wait at each time."""
    gone = threading.Event()

    def fill() -> None:
        while not gone.is_set():
            waiting = rig.slurm.run("squeue", "--noheader", "--states=PENDING", "--name=crowd", "--format=%i").split()
            for _ in range(_SIZE - len(waiting)):
                job = ["--job-name=crowd", f"--cpus-per-task={CPUS}", "--mem=1000", "--output=/dev/null"]
                rig.slurm.run("sbatch", "--partition=norm", *job, f"--wrap=sleep {_SECONDS}")
            gone.wait(0.5)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        gone.set()
        thread.join()
        rig.slurm.cancel_all()


SCENARIO = Scenario(
    name="crowd",
    title="the same chain, on an idle cluster and on one for which jobs of others wait, too",
    measure=_round,
    rounds=1,
    is_extra=True,
)
