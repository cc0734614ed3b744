"""Where a user of the test cluster sits: a directory with a workflow, a ticket cache, and Snakemake as a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.daemons import run
from tests.cluster.kdc import REALM
from tests.cluster.rig import PASSWORD, Rig

_LONGEST_RUN_SECONDS = 300.0
_PAUSE_SECONDS = 0.1
_NOT_OURS = ("FRCEAPI_", "KRB5", "PYTEST_", "SLURM_", "SNAKEMAKE_", "XDG_")


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
        process: leader of a process group of its own.
        output: file with what it prints.
    """

    process: subprocess.Popen[bytes]
    output: Path

    def wait(self, timeout: float = _LONGEST_RUN_SECONDS) -> Result:
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
        """Send a signal to its process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End it and its process group now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Desk:
    """A user's directory, tickets and runs.

    Attributes:
        directory: the working directory.
        rig: the cluster.
        environment: the environment of the runs; a test may change it.
    """

    def __init__(self, place: Path, rig: Rig) -> None:
        """Make it, without a ticket.

        Args:
            place: an existing directory for all its files.
            rig: the cluster.
        """
        self.directory = place / "work"
        self.directory.mkdir()
        self.rig = rig
        self.cache = place / "ticket"
        (place / "home").mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
        ours = {"HOME": str(place / "home"), "KRB5CCNAME": f"FILE:{self.cache}", "PYTHONUNBUFFERED": "1"}
        self.environment = {**kept, **rig.client_environment, **ours}
        self._runs: list[Running] = []

    @property
    def principal(self) -> str:
        """The user's principal."""
        return f"{self.rig.user}@{REALM}"

    def kinit(self, *options: str) -> None:
        """Get a ticket, as the user does, with options of that program."""
        self.rig.kdc.kinit(self.cache, self.rig.user, PASSWORD, *options)

    def start(self, *arguments: str) -> Running:
        """Start Snakemake."""
        output = self.directory.parent / f"output-{len(self._runs)}.txt"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *_default_arguments(), *arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._runs.append(Running(process, output))
        return self._runs[-1]

    def run(self, *arguments: str) -> Result:
        """Run Snakemake to its end."""
        return self.start(*arguments).wait()

    def write(self, name: str, text: str) -> None:
        """Write a file below the working directory, its common indentation removed."""
        (self.directory / name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")

    def read(self, name: str) -> str:
        """Return the text of a file below the working directory, empty if it does not exist."""
        path = self.directory / name
        return path.read_text("utf-8") if path.exists() else ""

    def listing(self) -> dict[str, dict[str, str]]:
        """Return the rows of ``query_status`` by job id, asked by curl(1)."""
        command = ["curl", "-sS", "--fail", "--negotiate", "-u", ":", "--cacert", str(self.rig.ca_bundle)]
        document = json.loads(run([*command, f"{self.rig.web.url}/query_status"], self.environment))
        return {key: value for key, value in document.items() if isinstance(value, dict)}

    def job_of(self, rule: str) -> str:
        """Wait until a job of a rule has begun its command and return its id.

        The rule's command must write ``$SLURM_JOB_ID`` to the file ``<rule>.id``.
        """
        self.wait_for(lambda: self.read(f"{rule}.id").strip(), f"a job of rule {rule}")
        return self.read(f"{rule}.id").split()[0]

    def end_runs(self) -> None:
        """Kill every Snakemake that still runs."""
        for running in self._runs:
            if running.process.poll() is None:
                running.kill()

    @staticmethod
    def wait_for(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
        """Wait until something holds.

        Raises:
            TimeoutError: it does not, after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not seen in {timeout} s")
            time.sleep(_PAUSE_SECONDS)


def _default_arguments() -> list[str]:
    settings = {
        "--executor": "frceapi",
        "--jobs": "8",
        "--latency-wait": "10",
        "--seconds-between-status-checks": "1",
        "--frceapi-partition": "norm",
        "--frceapi-default-mem-mb-per-cpu": "400",
        "--frceapi-init-seconds-before-status-checks": "0",
    }
    return ["--nocolor", *(word for pair in settings.items() for word in pair)]
