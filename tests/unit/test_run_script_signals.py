"""Signals that reach the processes of a job one after another, as Slurm sends them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from snakemake_executor_plugin_frceapi.jobscript import RunSettings, run_script
from tests.waiting import PATIENCE_SECONDS, wait_until


class Job:
    """A run script that runs a command, which must write its process id to the file ``pid``."""

    def __init__(self, directory: Path, command: str) -> None:
        self.directory = directory
        (directory / "control").write_text("# run\n")
        settings = RunSettings(
            directory=directory,
            done=directory / "done",
            log_directory=directory / "log",
            workdir=directory,
            command=["/bin/sh", "-c", command],
        )
        (directory / "run.sh").write_text(settings.render() + run_script())
        environment = {"PATH": os.environ["PATH"], "SLURM_JOB_ID": "7"}
        self.process = subprocess.Popen(
            ["/bin/bash", str(directory / "run.sh")], env=environment, start_new_session=True
        )
        wait_until(lambda: self.read("pid").endswith("\n"))

    def read(self, name: str) -> str:
        """Return the text of a file of the job, empty if there is none."""
        path = self.directory / name
        return path.read_text() if path.exists() else ""

    def end(self) -> str:
        """Wait for the end and return its record."""
        self.process.wait(PATIENCE_SECONDS)
        return self.read("end.7.0")

    def kill(self) -> None:
        """End every process of the job that is left."""
        if self.process.poll() is None:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                process.kill()
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Job]]:
    """Start a run script for a command; all processes end with the test."""
    jobs: list[Job] = []

    def started(command: str) -> Job:
        directory = tmp_path / str(len(jobs))
        directory.mkdir()
        jobs.append(Job(directory, command))
        return jobs[-1]

    yield started
    for job in jobs:
        job.kill()


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to notice."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("pause", [0.0, 0.0001, 0.0003, 0.2])
def test_signal_that_ends_the_command_first_is_from_outside(
    start: Callable[[str], Job], pause: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that died of the signal did not end by itself, though the run script gets the signal later.

    The second in which it waits for the signal is over when the signal was sent, however busy the machine is.
    """
    late = tmp_path / "bin" / "sleep"
    late.parent.mkdir()
    wait = f"until [ -e '{tmp_path}/sent' ]; do /bin/sleep 0.01; done"
    late.write_text(f'#!/bin/sh\n[ "$1" != 1 ] || {wait}\nexec /bin/sleep "$@"\n')
    late.chmod(0o755)
    monkeypatch.setenv("PATH", str(late.parent), prepend=os.pathsep)
    job = start("echo $$ >pid; sleep 300; true")
    os.kill(int(job.read("pid")), signal.SIGTERM)
    time.sleep(pause)
    job.process.terminate()
    (tmp_path / "sent").touch()

    assert "exit=143 cause=signal" in job.end()


def test_what_ignores_the_end_of_the_command_is_killed(start: Callable[[str], Job]) -> None:
    """A process that the command left behind and that ignores SIGTERM is gone when the job has ended."""
    job = start("(trap '' TERM; exec sleep 300) & echo $! >pid")

    assert "exit=0 cause=own" in job.end()
    left = int(job.read("pid"))
    wait_until(lambda: has_ended(left))


def test_watcher_ends_with_a_run_script_that_was_killed(start: Callable[[str], Job]) -> None:
    """Nothing looks for orders on behalf of a run script that was killed alone."""
    job = start("echo $$ >pid; exec sleep 300")
    script = psutil.Process(job.process.pid)
    wait_until(lambda: len(script.children()) == 2)
    children = [child.pid for child in script.children()]
    script.kill()
    job.process.wait()
    os.kill(int(job.read("pid")), signal.SIGKILL)

    wait_until(lambda: all(map(has_ended, children)))
