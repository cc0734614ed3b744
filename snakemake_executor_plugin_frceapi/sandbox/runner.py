"""Starts batch scripts as local processes and tells when they have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_frceapi.sandbox.processes import kill_job, signal_job, sweep_job


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One run of a batch script.

    Attributes:
        script: its text, shebang line first.
        path: where the text is put, as Slurm puts it in its spool directory.
        environment: the whole environment; nothing of the sandbox's own is added.
        directory: working directory.
        output: file to which standard output and standard error are appended.
    """

    script: str
    path: Path
    environment: Mapping[str, str]
    directory: Path
    output: Path


class LocalProcess:
    """A running batch script with all that it started, in a session of its own."""

    def __init__(self, launch: Launch, on_end: Callable[[int], None]) -> None:
        """Start it.

        Args:
            launch: what to run.
            on_end: called in a thread of its own with the exit code, when nothing of the job runs any more.

        Raises:
            OSError: it cannot be started, for instance because its interpreter does not exist.
        """
        _write_script(launch)
        with launch.output.open("ab") as output:
            self._process = subprocess.Popen(
                command_of(launch.script, launch.path),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=launch.directory,
                env=dict(launch.environment),
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._on_end = on_end
        self._reaping = threading.Lock()
        self._is_reaped = False
        self._thread = threading.Thread(target=self._follow, name=f"sandbox-job-{self.pid}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """False once `on_end` has returned."""
        return self._thread.is_alive()

    def terminate(self) -> None:
        """Ask the job to end: SIGTERM to its processes."""
        with self._reaping:
            if not self._is_reaped:
                signal_job(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the job: SIGKILL to its processes."""
        with self._reaping:
            if not self._is_reaped:
                kill_job(self.pid)

    def join(self, timeout: float) -> None:
        """Wait at most `timeout` seconds until `on_end` has returned."""
        self._thread.join(timeout)

    def _follow(self) -> None:
        # WNOWAIT keeps the number of the ended leader taken until nobody can send a signal to it any more.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        sweep_job(self.pid)
        with self._reaping:
            exit_code = self._process.wait()
            self._is_reaped = True
        self._on_end(exit_code)


def command_of(script: str, path: Path) -> list[str]:
    """The command that the kernel would make of the shebang line; so the file system may be mounted ``noexec``."""
    words = script[2:].split("\n", 1)[0].strip().split(None, 1)
    return [*words, str(path)]


def _write_script(launch: Launch) -> None:
    launch.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    launch.path.unlink(missing_ok=True)
    with os.fdopen(os.open(launch.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w", encoding="utf-8") as file:
        file.write(launch.script)
