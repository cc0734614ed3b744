"""One run of Snakemake with the probe inside."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.peers import Peer
from tests.cluster.desk import Desk

_LONGEST_SECONDS = 900.0
_PROBE = Path(__file__).with_name("probe.py")


class BenchmarkError(Exception):
    """A run that was to be measured has failed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run has shown; times are seconds of the epoch.

    Attributes:
        begun: when the process was started.
        ended: when it had ended.
        handed_over: when Snakemake handed over jobs, each time.
        submitted: when each job was reported as submitted, and its first output.
        succeeded: when each job was reported as ended, and its first output.
        gates: with look-ahead, the seconds that each job stood at its gate.
        commands: likewise the scripts of the jobs in the order of their ends.
        cpu_seconds: CPU time of the process.
        children_cpu_seconds: that of all processes that it has started.
        own_cpu_seconds: that of its threads beside the main one, and of the plugin's methods in that.
        peak_bytes: the most memory that it has had.
    """

    begun: float
    ended: float
    handed_over: list[float]
    submitted: list[tuple[float, str]]
    succeeded: list[tuple[float, str]]
    gates: list[float]
    commands: list[str]
    cpu_seconds: float
    children_cpu_seconds: float
    own_cpu_seconds: float
    peak_bytes: int

    @property
    def seconds(self) -> float:
        """From the start of the process to its end."""
        return self.ended - self.begun

    @property
    def start_seconds(self) -> float:
        """From the start of the process until Snakemake knew that the first job was submitted."""
        return self.submitted[0][0] - self.begun

    @property
    def submissions_per_second(self) -> float:
        """How fast what Snakemake handed over first was submitted."""
        return len(self.submitted) / (self.submitted[-1][0] - self.handed_over[0])


def measure(desk: Desk, peer: Peer, *options: str, most: int = 0) -> Measured:
    """Run Snakemake at a desk.

    Args:
        desk: where its Snakefile is.
        peer: the executor.
        options: arguments of Snakemake beside those of the peer.
        most: kill it when so many jobs have been submitted; 0: let it end.

    Raises:
        BenchmarkError: it fails.
        TimeoutError: it takes longer than anything here should.
    """
    peer.sit_down(desk)
    notes = desk.directory.parent / "notes.json"
    desk.program = ("-P", str(_PROBE), str(notes), str(most))
    begun = time.time()
    result = desk.start(*options).wait(_LONGEST_SECONDS)
    ended = time.time()
    if result.exit_code:
        raise BenchmarkError(f"{peer.name}: exit code {result.exit_code}\n{result.output}")
    seen: dict[str, Any] = json.loads(notes.read_text("utf-8"))
    return Measured(begun, ended, **seen)
