"""Snakemake as a user starts it: a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LONGEST_RUN_SECONDS = 300.0

NOT_OURS = ("FRCEAPI_", "KRB5", "PYTEST_", "SLURM_", "SNAKEMAKE_", "XDG_")
"""Beginnings of the names of variables that a run must not inherit from the tests."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run of Snakemake left.

    Attributes:
        exit_code: its exit code, negative for a signal.
        output: what it printed, both streams together.
    """

    exit_code: int
    output: str


@dataclass(slots=True)
class Running:
    """A Snakemake that runs.

    Attributes:
        process: leader of a process group of its own, so that a test can send it what a terminal sends.
        output: file with what it prints.
    """

    process: subprocess.Popen[bytes]
    output: Path

    def wait(self, timeout: float = LONGEST_RUN_SECONDS) -> Result:
        """Wait for its end.

        Raises:
            TimeoutError: it has not ended in time; it is killed.
        """
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"Snakemake did not end in {timeout} s; it printed:\n{self.text()}") from None
        return Result(self.process.returncode, self.text())

    def text(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone, as kill(1) does."""
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """Send SIGINT to its process group, as a terminal does at Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it and its process group now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_snakemake(
    arguments: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    output: Path,
    *,
    umask: int = -1,
    program: Sequence[str] = ("-m", "snakemake"),
) -> Running:
    """Start Snakemake.

    Args:
        arguments: its arguments.
        directory: its working directory.
        environment: its whole environment.
        output: file for what it prints.
        umask: its file mode creation mask; -1: this process's.
        program: what Python is told to run.
    """
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=umask,
        )
    return Running(process, output)
