"""A workflow in a directory of its own, a sandbox beside it, and Snakemake as a user starts it: a process over HTTP."""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Fault, Job, Reply, Sandbox, SandboxConfig
from tests.quick_jobs import quick_jobscript
from tests.run_directories import has_recorded_no_end
from tests.snakemake_process import NOT_OURS, Result, Running, start_snakemake
from tests.waiting import wait_until


@dataclass(slots=True)
class Workflow:
    """A workflow and its sandbox.

    Attributes:
        directory: the working directory.
        sandbox: the service that its runs speak to.
        environment: the environment of its runs; a test may change it.
        defaults: the arguments that stand before those of each run; a test may change them.
        umask: the file mode creation mask of its runs; -1: this process's.
    """

    directory: Path
    sandbox: Sandbox
    environment: dict[str, str]
    defaults: list[str] = field(default_factory=list)
    umask: int = -1
    _runs: list[Running] = field(default_factory=list)

    def start(self, *arguments: str) -> Running:
        """Start Snakemake with `defaults` and `arguments`."""
        output = self.directory.with_name(f"{self.directory.name}-output-{len(self._runs)}.txt")
        arguments = (*self.defaults, *arguments)
        running = start_snakemake(arguments, self.directory, self.environment, output, umask=self.umask)
        self._runs.append(running)
        return self._runs[-1]

    def run(self, *arguments: str) -> Result:
        """Run Snakemake to its end with `defaults` and `arguments`."""
        return self.start(*arguments).wait()

    def succeed(self, *arguments: str) -> Result:
        """Run Snakemake to its end and see that its exit code is 0."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result

    def write(self, name: str, text: str) -> Path:
        """Write a file below the working directory, its common indentation removed."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        """Return the text of a file below the working directory."""
        return (self.directory / name).read_text("utf-8")

    def lines(self, name: str) -> list[str]:
        """Return the lines of a file below the working directory; none if it does not exist."""
        path = self.directory / name
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def files(self, pattern: str) -> list[str]:
        """Return the files below the working directory that match, relative to it and sorted."""
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.glob(pattern) if path.is_file())

    def left_in_run_directory(self) -> list[str]:
        """Return what there is of jobs, of their ends and of their environments, relative to the working directory."""
        found = self.directory.glob(".snakemake/frceapi/*/*/*")
        return sorted(str(path.relative_to(self.directory)) for path in found)

    @property
    def jobs(self) -> list[Job]:
        """All jobs that the service has accepted, oldest first."""
        return list(self.sandbox.jobs.values())

    @property
    def states(self) -> list[str]:
        """Their states."""
        return [job.state.value for job in self.jobs]

    def final_jobs(self) -> list[Job]:
        """Wait until nothing of any job runs, and return all jobs, oldest first.

        A run is over when its last job has recorded its end, and for the service that job ends a moment later.
        """
        self.wait_for(lambda: all(job.is_final for job in self.jobs), "an empty queue")
        return self.jobs

    def final_states(self) -> list[str]:
        """Wait until nothing of any job runs, and return their states."""
        return [job.state.value for job in self.final_jobs()]

    def watch_queue(self) -> list[int]:
        """Return a list that gets, at each submission from now on, the number of jobs that are not over then.

        A job is over when it has recorded its end, which is a moment before it has ended for the service. The short
        jobs that cancel others have no run directory, and are not counted.
        """
        counts: list[int] = []

        def count(reply: Reply) -> Reply:
            counts.append(sum(job.ended_at is None and has_recorded_no_end(job.submission.script) for job in self.jobs))
            return reply

        self.sandbox.faults.add(Fault(after=count), call="submit_job")
        return counts

    def calls(self, call: str) -> int:
        """Return how many requests of one call have come."""
        return sum(request.call == call for request in self.sandbox.requests)

    wait_for = staticmethod(wait_until)

    def use_quick_jobs(self, work: str = ":") -> None:
        """Let the jobs make the first of their outputs themselves, without the two seconds that Snakemake needs.

        Each writes a line ``begin OUTPUT JOBID`` and a line ``end OUTPUT JOBID`` to the file ``ledger``.

        Args:
            work: shell lines between the two.
        """
        self.defaults += ["--jobscript", str(self.write("quick.sh", quick_jobscript(work)))]

    def end_runs(self) -> None:
        """Kill every Snakemake that still runs."""
        for running in self._runs:
            if running.process.poll() is None:
                running.kill()


class MakeWorkflow(Protocol):
    """Makes workflows."""

    def __call__(self, snakefile: str, *, directory: str = "work", config: SandboxConfig | None = None) -> Workflow:
        """Write a Snakefile and start a sandbox.

        Args:
            snakefile: its text; common indentation is removed.
            directory: name of the working directory, which is made in the test's temporary directory.
            config: settings of the sandbox.
        """


@pytest.fixture
def workflow(tmp_path: Path) -> Iterator[MakeWorkflow]:
    """A maker of workflows; their processes, jobs and sandboxes end with the test."""
    with contextlib.ExitStack() as stack:

        def make(snakefile: str, *, directory: str = "work", config: SandboxConfig | None = None) -> Workflow:
            sandbox = stack.enter_context(Sandbox(config or SandboxConfig(cpus=8, mem_mb=64_000)))
            place = tmp_path / directory
            place.mkdir(parents=True)
            made = Workflow(place, sandbox, _environment(os.environ, tmp_path, sandbox.url), _default_arguments())
            stack.callback(made.end_runs)
            made.write("Snakefile", snakefile)
            return made

        yield make


def _environment(caller: Mapping[str, str], tmp_path: Path, url: str) -> dict[str, str]:
    """The caller's variables with a home of the test's own, and nothing that another Snakemake or cluster left."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in caller.items() if not name.startswith(NOT_OURS)}
    return {**kept, "HOME": str(home), "SNAKEMAKE_FRCEAPI_URL": url, "PYTHONUNBUFFERED": "1"}


def _default_arguments() -> list[str]:
    settings = {
        "--executor": "frceapi",
        "--jobs": "8",
        "--latency-wait": "10",
        "--seconds-between-status-checks": "1",
        "--frceapi-partition": "norm",
        "--frceapi-init-seconds-before-status-checks": "0",
        "--frceapi-cancel-timeout": "200",
    }
    return ["--nocolor", *(word for pair in settings.items() for word in pair)]
