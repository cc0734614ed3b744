"""Snakemake killed again and again in the middle of a run, and started again as a user starts it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.snakemake_process import Result, Running

CHAINS_AND_LOOSE_JOBS = """
    CHAINS, LEVELS, LOOSE, REAL = {shape}
    rule all:
        localrule: True
        input:
            "gathered",
            expand("loose/{{n}}", n=range(LOOSE)),
            expand("real/{{n}}", n=range(REAL)),
    rule first:
        output: "level0/{{n}}"
        shell: "exit 99"
    rule next:
        input: lambda wildcards: f"level{{int(wildcards.level) - 1}}/{{wildcards.n}}"
        output: "level{{level,[1-9]}}/{{n}}"
        shell: "exit 99"
    rule gather:
        input: expand("level{{level}}/{{n}}", level=LEVELS - 1, n=range(CHAINS))
        output: "gathered"
        shell: "exit 99"
    rule loose:
        output: "loose/{{n}}"
        shell: "exit 99"
    rule real:
        output: "real/{{n}}"
        shell:
            'echo "begin {{output}} $SLURM_JOB_ID" >>ledger; sleep 1; touch {{output}}; '
            'echo "end {{output}} $SLURM_JOB_ID" >>ledger'
"""
"""Chains of levels of quick jobs that one gathers, and quick and real jobs that nothing waits for."""

LAST_WAITS = 'case $output in gathered) until [ -e go ]; do sleep 0.2; done ;; *) sleep "0.$((RANDOM % 9))" ;; esac'
"""What the quick jobs do: the last one waits, so that no run ends before it is to."""


class Place(Protocol):
    """Where Snakemake runs."""

    def start(self, *arguments: str) -> Running:
        """Start Snakemake."""

    def write(self, name: str, text: str) -> object:
        """Write a file below the working directory."""


def outputs(shape: Sequence[int]) -> list[str]:
    """Return the outputs of all payloads of `CHAINS_AND_LOOSE_JOBS`.

    Args:
        shape: the numbers of chains, of levels, of loose quick jobs and of loose real jobs.
    """
    chains, levels, loose, real = shape
    chained = [f"level{level}/{n}" for level in range(levels) for n in range(chains)]
    return [*chained, "gathered", *(f"loose/{n}" for n in range(loose)), *(f"real/{n}" for n in range(real))]


def run_and_kill(
    place: Place, arguments: Sequence[str], kills: int, progress: Callable[[], float], seed: int
) -> Result:
    """Run Snakemake to its end, killed with SIGKILL at random moments before.

    After each kill, what a user would type follows: ``--unlock``, then the same with ``--rerun-incomplete``.

    Args:
        place: where it runs; its last job must wait for the file ``go``.
        arguments: of each run.
        kills: how often it is killed.
        progress: returns how much of the work is done, from 0 to 1.
        seed: chooses the moments.

    Returns:
        What the last run left.
    """
    chance = random.Random(seed)  # noqa: S311 - chooses moments, protects nothing
    moments = sorted(chance.uniform(0.05, 0.9) for _ in range(kills))
    running = place.start(*arguments)
    for moment in moments:
        _wait(running, chance.uniform(0.2, 3.0), lambda moment=moment: progress() >= moment)  # type: ignore[misc]
        running.signal(signal.SIGKILL)
        assert running.wait().exit_code == -signal.SIGKILL
        assert place.start("--unlock").wait().exit_code == 0
        running = place.start("--rerun-incomplete", *arguments)
    place.write("go", "")
    return running.wait()


def _wait(running: Running, seconds: float, condition: Callable[[], bool]) -> None:
    """Wait for a condition, and at least some seconds."""
    begin = time.monotonic()
    while time.monotonic() < begin + seconds or not condition():
        assert running.process.poll() is None, running.text()
        assert time.monotonic() < begin + 120, running.text()
        time.sleep(0.02)
