"""The sandbox before a Slurm: what it asks of Slurm's programs, and what it makes of their answers."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from snakemake_executor_plugin_frceapi.sandbox.backend import BackendError
from snakemake_executor_plugin_frceapi.sandbox.command import sandbox_command
from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.environment import User
from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway
from snakemake_executor_plugin_frceapi.sandbox.listing import listed_jobs
from snakemake_executor_plugin_frceapi.sandbox.rules import Submission
from snakemake_executor_plugin_frceapi.sandbox.secret import SecretError
from snakemake_executor_plugin_frceapi.sandbox.slurm import parse_squeue, sbatch_command

_ROW = "{job_id}|norm|2026-01-27T15:00:00|2026-01-27T15:24:32|2026-02-01T15:24:32|{state}"
_PRINCIPAL = "ada@EXAMPLE.ORG"
_BODY = {"script-body": "#!/bin/sh\n#SBATCH -n 9\necho 1\n", "partition": "norm", "cpus-per-task": 2}


class Programs:
    """Slurm's programs as scripts on the PATH: each keeps what it is given and answers what a test says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.answer("sinfo", "norm\ngpu\n")
        self.answer("squeue", "")
        self.answer("sbatch", "7\n")

    def answer(self, program: str, output: str, exit_code: int = 0) -> None:
        """Let a program print `output` and end with `exit_code`; with another than 0 it goes to standard error."""
        stem = self.directory / program
        stem.with_suffix(".answer").write_text(output)
        script = f'#!/bin/sh\necho "$@" >{stem}.words\nenv >{stem}.env\ncat >{stem}.input\n'
        part = stem.with_suffix(".part")
        part.write_text(f"{script}cat {stem}.answer {'>&2' if exit_code else ''}\nexit {exit_code}\n")
        part.chmod(0o755)
        part.replace(stem)

    def read(self, name: str) -> str:
        """Return what a program was given: ``words``, ``env`` or ``input``."""
        return (self.directory / name).read_text()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A directory of programs, first on the PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return Programs(directory)


@pytest.fixture
def call(programs: Programs, tmp_path: Path) -> Iterator[Callable[..., tuple[int, Any]]]:
    """Calls a running gateway and returns status code and document, or text where that is no JSON."""
    gateway = SlurmGateway(SandboxConfig(directory=tmp_path), _PRINCIPAL)
    gateway.start()

    def called(name: str, body: object = None, principal: str = _PRINCIPAL) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-Remote-User": principal}
        request = urllib.request.Request(f"{gateway.url}/{name}", data, headers)  # noqa: S310 - a loopback address
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - likewise
                status, text = reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        return status, json.loads(text) if text.startswith("{") else text

    yield called
    gateway.stop()


def test_submission_becomes_sbatch_options() -> None:
    """Every key of a request is an option, in Slurm's units."""
    submission = Submission(
        script="#!/bin/sh\n",
        partition="norm",
        ntasks=4,
        ntasks_per_core=1,
        ntasks_per_node=2,
        cpus_per_task=3,
        mem_mb_per_cpu=500,
        dependency="afterok:1",
        time_limit_s=93784,
    )

    assert sbatch_command(submission, "ada-", Path("/d"))[2:] == [
        "--job-name=ada-",
        "--partition=norm",
        "--ntasks=4",
        "--ntasks-per-core=1",
        "--ntasks-per-node=2",
        "--cpus-per-task=3",
        "--mem-per-cpu=500M",
        "--dependency=afterok:1",
        "--time=1-02:03:04",
        "--chdir=/d",
        "--output=/d/slurm-%j.out",
    ]


@pytest.mark.parametrize(
    ("state", "start", "end"),
    [
        ("PENDING", "Unknown", "Unknown"),
        ("RUNNING", "2026-01-27T15:24:32", "2026-02-01T15:24:32"),
        ("COMPLETED", "2026-01-27T15:24:32", "2026-02-01T15:24:32"),
        ("COMPLETING", "2026-01-27T15:24:32", "2026-02-01T15:24:32"),
    ],
)
def test_listing_shows_what_squeue_says(state: str, start: str, end: str) -> None:
    """Times are handed on as they are; those of a job that waits are not known."""
    jobs = parse_squeue([_ROW.format(job_id=7, state=state), ""])
    user = User("ada", 1000, 1000, "/home/ada", "/bin/sh")
    now = datetime.fromisoformat("2026-02-01T15:34:32").timestamp()

    assert listed_jobs(jobs, user, now, "end") == {
        "7": {"user": "ada", "name": "ada-", "partition": "norm", "start": start, "end": end, "state": state}
    }


def test_job_is_listed_for_a_day_after_its_end() -> None:
    """A job that ended ten minutes ago is listed, one that ended more than 24 hours ago is not."""
    jobs = parse_squeue([_ROW.format(job_id=7, state="COMPLETED")])
    user = User("ada", 1000, 1000, "/home/ada", "/bin/sh")
    ended = jobs[0].ended_at or 0.0

    assert "7" in listed_jobs(jobs, user, ended + 600, "end")
    assert listed_jobs(jobs, user, ended + 24 * 3600 + 1, "end") == {}


def test_submission_reaches_sbatch(call: Callable[..., tuple[int, Any]], programs: Programs) -> None:
    """The script goes to standard input, and nothing of the caller's environment to the job."""
    programs.answer("squeue", _ROW.format(job_id=7, state="PENDING") + "\n")

    assert call("submit_job", _BODY) == (200, {"status": "call_success", "reason": "7"})
    assert "--cpus-per-task=2" in programs.read("sbatch.words").split()
    assert programs.read("sbatch.input") == "#!/bin/sh\necho 1\n"
    assert "PYTEST_CURRENT_TEST" not in programs.read("sbatch.env")


def test_refusal_of_sbatch_is_told(call: Callable[..., tuple[int, Any]], programs: Programs) -> None:
    """What sbatch refuses is refused in the API's words."""
    programs.answer("sbatch", "sbatch: error: Job dependency problem\n", exit_code=1)

    assert call("submit_job", _BODY)[1] == {"status": "call_failure", "reason": "backend_query_job_submission_failed"}


def test_job_that_slurm_forgot_is_still_listed(call: Callable[..., tuple[int, Any]], programs: Programs) -> None:
    """The final state is remembered when squeue shows the job no longer."""
    now = datetime.now().astimezone().replace(tzinfo=None).isoformat(timespec="seconds")
    programs.answer("squeue", f"7|norm|{now}|{now}|{now}|COMPLETED\n")
    call("query_status")
    programs.answer("squeue", "")

    assert call("query_status")[1]["7"]["state"] == "COMPLETED"


def test_ends_are_seen_without_a_request(call: Callable[..., tuple[int, Any]], programs: Programs) -> None:
    """The gateway looks by itself, so that no end is missed between two requests."""
    before = programs.directory / "squeue.words"
    deadline = time.monotonic() + 60
    while not before.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_other_principal_is_refused(call: Callable[..., tuple[int, Any]]) -> None:
    """Only the principal of the user who owns the jobs is served."""
    assert call("query_status", principal="eve@EXAMPLE.ORG")[0] == 403


def test_slurm_that_does_not_answer_is_a_severe_error(call: Callable[..., tuple[int, Any]], programs: Programs) -> None:
    """Without Slurm there is no listing, but plain text."""
    programs.answer("squeue", "squeue: error: Unable to contact slurm controller\n", exit_code=1)

    assert call("query_status") == (200, "The cluster does not answer.\n")


def test_machine_without_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that cannot be run is named."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BackendError, match="cannot run sinfo"):
        SlurmGateway(SandboxConfig(directory=tmp_path), None).start()


def test_command_serves_before_slurm(programs: Programs, tmp_path: Path) -> None:
    """A command that is run against it finds its address, and its jobs are left alone at the end."""
    out = tmp_path / "url"
    command = [
        "--backend=slurm",
        f"--directory={tmp_path}",
        "--",
        "/bin/sh",
        "-c",
        f"echo $SNAKEMAKE_FRCEAPI_URL >{out}",
    ]
    done = CliRunner().invoke(sandbox_command, command)

    assert done.exit_code == 0, done.output
    assert out.read_text().startswith("http://127.0.0.1:")


def test_command_tells_that_there_is_no_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what could not be run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(sandbox_command, ["--backend=slurm"])

    assert done.exit_code == 1
    assert done.output.startswith("Error: cannot run sinfo")


@pytest.mark.parametrize("secret", ["short", "0123456789abcdef0123456789"])
def test_secret_is_checked(secret: str, tmp_path: Path) -> None:
    """A secret that can be guessed is refused; a file may hold a good one."""
    if secret == "short":
        with pytest.raises(SecretError):
            SlurmGateway(SandboxConfig(secret=secret), None)
        return
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_text(secret)
    gateway = SlurmGateway(SandboxConfig(secret_file=file), None)
    with pytest.raises(RuntimeError, match="does not run"):
        gateway.url  # noqa: B018 - the property raises
    gateway.stop()
