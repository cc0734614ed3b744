"""Where a user of the test cluster sits: a directory with a workflow, a ticket cache, and Snakemake as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.daemons import run
from tests.cluster.kdc import REALM
from tests.cluster.rig import FRCEAPI, PASSWORD, Rig
from tests.quick_jobs import quick_jobscript
from tests.snakemake_process import LONGEST_RUN_SECONDS, NOT_OURS, Result, Running, start_snakemake
from tests.waiting import wait_until


class Desk:
    """A user's directory, tickets and runs.

    Attributes:
        directory: the working directory.
        rig: the cluster.
        environment: the environment of the runs; a test may change it.
        defaults: the arguments that stand before those of each run; a test may change them.
        program: what Python is told to run for Snakemake; a benchmark changes it.
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
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        ours = {"HOME": str(place / "home"), "KRB5CCNAME": f"FILE:{self.cache}", "PYTHONUNBUFFERED": "1"}
        self.environment = {**kept, **rig.client_environment, **ours}
        self.defaults = _default_arguments()
        self.program: Sequence[str] = ("-m", "snakemake")
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
        arguments = (*self.defaults, *arguments)
        program = self.program
        self._runs.append(start_snakemake(arguments, self.directory, self.environment, output, program=program))
        return self._runs[-1]

    def run(self, *arguments: str) -> Result:
        """Run Snakemake to its end."""
        return self.start(*arguments).wait()

    def command(self, *arguments: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run the console command ``frceapi`` to its end; it prints no traceback.

        Args:
            arguments: of the command.
            before: words that stand before the command, such as those of another that starts it.
        """
        done = subprocess.run(
            [*before, sys.executable, "-c", FRCEAPI, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_RUN_SECONDS,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def write(self, name: str, text: str) -> None:
        """Write a file below the working directory, its common indentation removed."""
        (self.directory / name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")

    def use_quick_jobs(self, work: str = ":") -> None:
        """Let the jobs make the first of their outputs themselves, as `quick_jobscript` tells."""
        self.write("quick.sh", quick_jobscript(work))
        self.defaults += ["--jobscript", str(self.directory / "quick.sh")]

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

    wait_for = staticmethod(wait_until)


def _default_arguments() -> list[str]:
    settings = {
        "--executor": "frceapi",
        "--jobs": "8",
        "--latency-wait": "10",
        "--seconds-between-status-checks": "1",
        "--frceapi-partition": "norm",
        "--frceapi-default-mem-mb-per-cpu": "400",
        "--frceapi-init-seconds-before-status-checks": "0",
        "--frceapi-cancel-timeout": "200",
    }
    return ["--nocolor", *(word for pair in settings.items() for word in pair)]
