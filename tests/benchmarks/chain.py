"""How long a chain of dependent jobs takes, with and without look-ahead, on an idle and on a crowded cluster."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.desk import Desk
from tests.cluster.rig import Rig
from tests.cluster.slurm import CPUS

_CHAIN = """
    rule all:
        input: "level/{last}"
        localrule: True
    rule first:
        output: "level/0"
        shell: "echo 0 >{{output}}"
    rule next:
        input: lambda wildcards: f"level/{{int(wildcards.level) - 1}}"
        output: "level/{{level,[1-9][0-9]*}}"
        shell: "cp {{input}} {{output}}"
"""

_CROWD_SIZE = 3
_CROWD_SECONDS = 5


class BenchmarkError(Exception):
    """A run that was to be measured has failed."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run the chain.

    Attributes:
        name: what it is called in the table.
        interval: as ``--seconds-between-status-checks``.
        lookahead: as ``--frceapi-lookahead``.
        crowded: whether jobs of others wait for the cluster, too.
    """

    name: str
    interval: int
    lookahead: int
    crowded: bool

    @property
    def options(self) -> tuple[str, str]:
        """The arguments that make it."""
        return f"--seconds-between-status-checks={self.interval}", f"--frceapi-lookahead={self.lookahead}"


def variants() -> list[Variant]:
    """Return what is compared, each run without look-ahead before the one with it."""
    found = []
    for crowded in (False, True):
        for interval in (30,) if crowded else (5, 10, 30):
            for lookahead in (0, 20):
                place = "crowded" if crowded else "idle"
                words = f"{place}, asked every {interval} s, look-ahead {'on' if lookahead else 'off'}"
                found.append(Variant(words, interval, lookahead, crowded))
    return found


def makespan(rig: Rig, variant: Variant, levels: int) -> float:
    """Run the chain once and return the seconds from the start of Snakemake to its end.

    Raises:
        BenchmarkError: it fails.
    """
    place = tempfile.TemporaryDirectory(prefix="frceapi-bench-")
    with place as directory, _crowd(rig) if variant.crowded else nullcontext():
        desk = Desk(Path(directory), rig)
        desk.kinit()
        desk.write("Snakefile", _CHAIN.format(last=levels - 1))
        begun = time.monotonic()
        result = desk.run("--jobs=20", *variant.options)
        seconds = time.monotonic() - begun
    if result.exit_code:
        raise BenchmarkError(f"{variant.name}: exit code {result.exit_code}\n{result.output}")
    return seconds


@contextmanager
def _crowd(rig: Rig) -> Iterator[None]:
    """Let three jobs of others, each of which fills the cluster for five seconds, wait at each time."""
    gone = threading.Event()

    def fill() -> None:
        while not gone.is_set():
            waiting = rig.slurm.run("squeue", "--noheader", "--states=PENDING", "--name=crowd", "--format=%i").split()
            for _ in range(_CROWD_SIZE - len(waiting)):
                job = ["--job-name=crowd", f"--cpus-per-task={CPUS}", "--mem=1000", "--output=/dev/null"]
                rig.slurm.run("sbatch", "--partition=norm", *job, f"--wrap=sleep {_CROWD_SECONDS}")
            gone.wait(0.5)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        gone.set()
        thread.join()
        rig.slurm.cancel_all()
