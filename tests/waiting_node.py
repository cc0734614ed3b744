"""A node that runs the job 7, which waits for something before its command begins."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from snakemake_executor_plugin_frceapi.jobscript import RunSettings, run_script
from snakemake_executor_plugin_frceapi.markers import parse_end
from snakemake_executor_plugin_frceapi.tracker import Cause, End
from tests.waiting import PATIENCE_SECONDS, wait_until


@dataclass
class WaitingNode:
    """A node; its pauses between two looks are as long as a test wants.

    Attributes:
        top: everything lies below it.
        settings: what the run script knows.
        started: what was started, to be ended with the test.
    """

    top: Path
    settings: RunSettings
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.top / "bin").mkdir()
        self.pause("0.05")

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self.settings.directory

    @contextmanager
    def lasting(self) -> Iterator[Self]:
        """End its jobs with the test."""
        yield self
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def write(self, command: str, order: str, **changes: object) -> None:
        """Write the run directory of a job that runs a command, with an order."""
        self.settings = replace(self.settings, **{"command": ["/bin/sh", "-c", command], **changes})  # type: ignore[arg-type]
        self.directory.mkdir(exist_ok=True)
        (self.directory / "run.sh").write_text(self.settings.render() + run_script())
        (self.directory / "control").write_text(order)

    def start(self, jobid: int = 7, restart: int = 0) -> subprocess.Popen[bytes]:
        """Start a job."""
        path = f"{self.top / 'bin'}:{os.environ['PATH']}"
        process = subprocess.Popen(
            ["/bin/bash", str(self.directory / "run.sh")],
            restore_signals=False,
            env={"PATH": path, "SLURM_JOB_ID": str(jobid), "SLURM_RESTART_COUNT": str(restart)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, jobid: int = 7, restart: int = 0) -> int:
        """Run a job to its end and return its exit code."""
        return self.start(jobid, restart).wait(PATIENCE_SECONDS)

    def end(self, restart: int = 0) -> End:
        """The end that the job recorded; the listing of ends shows the same."""
        text = (self.directory / f"end.7.{restart}").read_text()
        end = parse_end(text)
        assert end is not None
        assert self.settings.done.read_text() == text
        return end

    def ended(self, restart: int = 0) -> tuple[int, Cause]:
        """Exit code and cause of that end."""
        return self.end(restart).exit_code, self.end(restart).cause

    def log(self) -> str:
        """The log of the job."""
        return (self.settings.log_directory / "7.log").read_text()

    def ran(self) -> bool:
        """Whether the job command was begun."""
        return (self.top / "ran").exists()

    def pause(self, seconds: str) -> None:
        """Set how long a pause between two looks really is."""
        sleep = self.top / "bin" / "sleep"
        sleep.write_text(f"#!/bin/sh\n: >'{self.top}/slept'\nexec /bin/sleep {seconds}\n")
        sleep.chmod(0o755)

    def wait_for_looks(self, count: int = 1) -> None:
        """Wait until the job has looked so often again."""
        for _ in range(count):
            (self.top / "slept").unlink(missing_ok=True)
            wait_until((self.top / "slept").exists)
