"""The run script of the model and the real one: the same story leaves the same markers, runs and exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.markers import parse_end, parse_start
from snakemake_executor_plugin_frceapi.spool import Spool
from tests.model.script import Event, Exit, Go, Place, Script, Term, run_script
from tests.model.share import Share
from tests.waiting import PATIENCE_SECONDS, wait_until

TOKEN = "t"
OF_SUBMITTER = {"job", "control"}
COMMAND = """
run="$SLURM_JOB_ID.$SLURM_RESTART_COUNT"
echo "$run" >>runs
until [ -s "code.$run" ]; do /bin/sleep 0.02; done
exit "$(cat "code.$run")"
"""
"""Writes down that it runs, and ends when it is told to."""

STORIES: Mapping[str, Sequence[str]] = {
    "succeeds": ["start 7 0", "end 0"],
    "fails": ["start 7 0", "end 3"],
    "is cancelled before": ["cancel", "start 7 0"],
    "is cancelled while it runs": ["start 7 0", "cancel", "wait"],
    "is ended by Slurm": ["start 7 0", "term"],
    "is killed": ["start 7 0", "kill"],
    "has a twin": ["start 7 0", "start 8 0", "end 0"],
    "has a twin afterwards": ["start 7 0", "end 0", "start 8 0"],
    "is requeued": ["start 7 0", "term", "start 7 1", "end 0"],
    "is requeued after a node failure": ["start 7 0", "kill", "start 7 1", "end 1"],
    "is requeued after its own end": ["start 7 0", "end 4", "start 7 1"],
    "is requeued and cancelled": ["start 7 0", "term", "cancel", "start 7 1"],
    "is requeued after it was cancelled": ["start 7 0", "cancel", "wait", "start 7 1"],
    "is removed before": ["remove", "start 7 0"],
    "is removed while it runs": ["start 7 0", "remove", "wait"],
}
"""What happens to a job, by what one would say of it; the job that is told something is the one that runs."""


class Node(Protocol):
    """Runs the jobs of one submission."""

    @property
    def runs(self) -> list[str]:
        """The job commands that began, as job and restart."""

    @property
    def codes(self) -> list[int | None]:
        """The exit codes of jobs, None of those that were killed."""

    def start(self, jobid: str, restart: str) -> None:
        """Start a job, and let it run until its command does or until it ends."""

    def end(self, code: str) -> None:
        """Let the job command end by itself, and then the job."""

    def term(self) -> None:
        """End the job with SIGTERM."""

    def kill(self) -> None:
        """Kill all processes of the job."""

    def wait(self) -> None:
        """Wait for the end of the job."""


@dataclass(slots=True)
class ModelNode:
    """Runs the model's script.

    Attributes:
        share: the shared file system.
        script: the job that runs.
    """

    share: Share
    runs: list[str] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)
    script: Script | None = None

    def start(self, jobid: str, restart: str) -> None:
        """See `Node`."""
        former, begun = self.script, len(self.runs)
        self.script = run_script(Place(self.share, self, TOKEN, jobid, int(restart), lambda: 1.0))
        self._move(None)
        while self.is_running and len(self.runs) == begun:
            self._move(Go())
        if not self.is_running:
            self.script = former

    def end(self, code: str) -> None:
        """See `Node`."""
        self._move(Exit(int(code)))
        self.wait()

    def term(self) -> None:
        """See `Node`."""
        self._move(Term())
        self.wait()

    def kill(self) -> None:
        """See `Node`."""
        assert self.script
        self.script.close()
        self.script = None
        self.codes.append(None)

    def wait(self) -> None:
        """See `Node`."""
        while self.is_running:
            self._move(Go())

    @property
    def is_running(self) -> bool:
        """Whether a job runs."""
        return self.script is not None

    def begins(self, token: str, jobid: str, restart: int) -> None:
        """Note that the job command begins."""
        assert token == TOKEN
        self.runs.append(f"{jobid}.{restart}")

    def ends(self, token: str, jobid: str, restart: int, code: int | None) -> None:
        """Note nothing: it began."""

    def records(self, token: str, code: int) -> None:
        """Note nothing: the marker is looked at."""

    def _move(self, event: Event | None) -> None:
        assert self.script is not None
        try:
            if event is None:
                next(self.script)
            else:
                self.script.send(event)
        except StopIteration as end:
            self.codes.append(end.value)
            self.script = None


@dataclass(slots=True)
class RealNode:
    """Runs the launcher, and with it the run script, in bash.

    Attributes:
        top: everything lies below it.
        spool: holds the run directory.
        codes: the exit codes of jobs, None of those that were killed.
        running: the jobs that run.
    """

    top: Path
    spool: Spool
    codes: list[int | None] = field(default_factory=list)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    current: str = ""

    @property
    def runs(self) -> list[str]:
        """The job commands that began, as job and restart."""
        path = self.top / "work" / "runs"
        return path.read_text().split() if path.exists() else []

    def start(self, jobid: str, restart: str) -> None:
        """See `Node`."""
        script = self.top / "launcher"
        script.write_text(self.spool.launcher(TOKEN))
        variables = {"SLURM_JOB_ID": jobid, "SLURM_RESTART_COUNT": restart}
        path = f"{self.top / 'bin'}:{os.environ['PATH']}"
        process = subprocess.Popen(["/bin/bash", script], cwd=self.top, env={"PATH": path, **variables})
        begun = len(self.runs)
        wait_until(lambda: process.poll() is not None or len(self.runs) > begun)
        if len(self.runs) > begun:
            self.running.append(process)
            self.current = f"{jobid}.{restart}"
        else:
            self.codes.append(process.wait())

    def end(self, code: str) -> None:
        """See `Node`."""
        (self.top / "work" / f"code.{self.current}").write_text(code)
        self.wait()

    def term(self) -> None:
        """See `Node`."""
        self.running[-1].send_signal(signal.SIGTERM)
        self.wait()

    def kill(self) -> None:
        """See `Node`."""
        process = self.running.pop()
        kill_all(process)
        self.codes.append(None)

    def wait(self) -> None:
        """See `Node`."""
        process = self.running.pop()
        self.codes.append(process.wait(PATIENCE_SECONDS))


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started, parents first, as a node that fails does."""
    found = psutil.Process(process.pid)
    for one in [found, *found.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


def write_job(top: Path, spool: Spool) -> None:
    """Write the run directory of a job that runs `COMMAND`."""
    for name in ("work", "bin"):
        (top / name).mkdir()
    (top / "bin" / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.05\n")
    (top / "bin" / "sleep").chmod(0o755)
    settings = RunSettings(
        directory=spool.job_directory(TOKEN),
        done=spool.done_entry(TOKEN),
        log_directory=top / "logs",
        workdir=top / "work",
        command=["/bin/bash", str(spool.job_directory(TOKEN) / "job")],
        watch_seconds=1,
    )
    spool.run_directory(TOKEN, "job", COMMAND, settings.render()).write()


def tell(story: Sequence[str], node: Node, spool: Spool) -> None:
    """Let a story happen."""
    for step in story:
        word, *words = step.split()
        if word == "cancel":
            assert spool.order_cancel(TOKEN)
        elif word == "remove":
            spool.remove_job(TOKEN)
        else:
            getattr(node, word)(*words)


def markers(spool: Spool) -> dict[str, object]:
    """What jobs have left in their run directory and in the listing of ends, without times, places and memory."""
    directory = spool.job_directory(TOKEN)
    paths = [path for path in directory.glob("[!.]*") if path.name not in (*OF_SUBMITTER, "peak")]
    found: dict[str, object] = {path.name: marker(path) for path in paths}
    done = spool.done_entry(TOKEN)
    return found | ({"done": marker(done)} if done.exists() else {})


def marker(path: Path) -> object:
    """What a marker says."""
    text = path.read_text()
    if end := parse_end(text):
        return end.external_jobid, end.restart, end.exit_code, end.cause
    if start := parse_start(text):
        return start.external_jobid, start.restart
    return text


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealNode]:
    """A node with real processes, which end with the test."""
    (tmp_path / "real").mkdir()
    node = RealNode(tmp_path / "real", Spool(tmp_path / "real" / "spool"))
    write_job(node.top, node.spool)
    yield node
    for process in node.running:
        kill_all(process)


@pytest.fixture
def model(tmp_path: Path) -> ModelNode:
    """A node of the model."""
    (tmp_path / "model").mkdir()
    share = Share(tmp_path / "model", lambda: 1.0)
    write_job(tmp_path / "model", share.spool)
    return ModelNode(share)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_script_of_the_model_does_what_the_real_one_does(
    story: Sequence[str], real: RealNode, model: ModelNode
) -> None:
    """Both run the same commands, end with the same codes and leave the same markers."""
    tell(story, real, real.spool)
    tell(story, model, model.share.spool)

    assert real.runs == model.runs
    assert real.codes == model.codes
    assert markers(real.spool) == markers(model.share.spool)
