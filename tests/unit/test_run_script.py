"""Tests of the run script, really run by bash as Slurm would, with ``SLURM_*`` set by hand."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.environment import encode
from snakemake_executor_plugin_frceapi.jobscript import TWIN_EXIT_CODE, RunSettings, run_script
from snakemake_executor_plugin_frceapi.markers import parse_end, parse_peak, parse_start
from snakemake_executor_plugin_frceapi.tracker import Cause, End
from tests.waiting import PATIENCE_SECONDS, wait_until

NASTY = ["two words", "it's", 'a "quote"', "new\nline", "$(touch executed)", "`touch executed`", "Größe", "-dash", "~"]


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@dataclass
class Node:
    """A node that runs jobs of one run directory.

    Attributes:
        top: everything lies below it.
        settings: what the run script knows; a test replaces what it is about.
        bin: programs that stand before the real ones.
        most_blocks: how much a file may hold, as ``ulimit -f`` has it; 0 is as good as a full disk.
        started: what was started, to be ended with the test.
    """

    top: Path
    settings: RunSettings
    bin: Path
    most_blocks: str = "unlimited"
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self.settings.directory

    def runs(self, *lines: str, **settings: object) -> None:
        """Write the run directory of a job that runs these shell lines."""
        jobscript = self.top / "jobscript.sh"
        jobscript.write_text("\n".join(lines) + "\n")
        self.settings = replace(self.settings, **{"command": ["/bin/bash", str(jobscript)], **settings})  # type: ignore[arg-type]
        self.directory.mkdir(mode=0o700, exist_ok=True)
        (self.directory / "run.sh").write_bytes(os.fsencode(self.settings.render() + run_script()))
        (self.directory / "control").write_text("# run\n")

    def program(self, name: str, text: str) -> None:
        """Put a program before the real one."""
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def start(self, jobid: int = 7, restart: int | None = None, **slurm: str) -> subprocess.Popen[bytes]:
        """Start a job in a working directory of Slurm's own and with no variables but Slurm's."""
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "SLURM_JOB_ID": str(jobid), **slurm}
        if restart is not None:
            environment["SLURM_RESTART_COUNT"] = str(restart)
        process = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                f"ulimit -f {self.most_blocks}; exec /bin/bash {shlex.quote(str(self.directory / 'run.sh'))}",
            ],
            restore_signals=False,
            cwd=self.top / "slurm",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, jobid: int = 7, restart: int | None = None, **slurm: str) -> int:
        """Run a job to its end and return its exit code."""
        process = self.start(jobid, restart, **slurm)
        process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode

    def end(self, jobid: int = 7, restart: int = 0) -> End:
        """The end that a job recorded."""
        end = parse_end((self.directory / f"end.{jobid}.{restart}").read_text())
        assert end is not None
        return end

    def done(self) -> End | None:
        """The end that the listing of ends shows."""
        return parse_end(self.settings.done.read_text()) if self.settings.done.exists() else None

    def log(self, jobid: int = 7) -> str:
        """The log of a job."""
        return (self.settings.log_directory / f"{jobid}.log").read_text()

    def peak_mb(self) -> int:
        """The memory that the job was seen to hold at most."""
        path = self.directory / "peak"
        return (parse_peak(path.read_text()) or 0) if path.exists() else 0

    def wrote(self, name: str) -> bool:
        """Whether a job wrote a file in its working directory."""
        return (self.settings.workdir / name).exists()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node, whose jobs are ended with the test."""
    for name in ("bin", "work", "slurm", "spool", "done"):
        (tmp_path / name).mkdir()
    settings = RunSettings(
        directory=tmp_path / "spool" / "token",
        done=tmp_path / "done" / "token",
        log_directory=tmp_path / "logs" / "rule_x",
        workdir=tmp_path / "work",
        command=["true"],
        umask=0o027,
        watch_seconds=1,
    )
    node = Node(tmp_path, settings, tmp_path / "bin")
    yield node
    for process in node.started:
        kill_job(process)


def kill_job(process: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a job at once, as a node that fails does."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(path.name)) == process.pid:
                os.kill(int(path.name), signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_records_the_exit_code_of_the_job_command(code: int, node: Node) -> None:
    """The job's exit code, its end marker and the entry in the listing of ends say the same."""
    node.runs(f"echo hello; exit {code}")

    assert node.run() == code
    end = node.end()
    assert (end.external_jobid, end.restart, end.exit_code, end.cause) == ("7", 0, code, Cause.OWN)
    assert end.start <= end.end
    assert node.done() == end
    assert node.log() == "hello\n"


def test_records_a_job_command_that_was_killed(node: Node) -> None:
    """A job command that a signal killed has ended by itself, with the code that bash gives it."""
    node.runs("kill -KILL $$")

    assert node.run() == 137
    assert (node.end().exit_code, node.end().cause) == (137, Cause.OWN)


def test_records_the_cpu_time_of_the_job_command(node: Node) -> None:
    """The CPU time of the job command's processes stands in the end marker."""
    node.runs("exec python3 -c 'import time\nwhile time.process_time() < 0.3: pass'")

    assert node.run() == 0
    assert node.end().cpu_seconds >= 0.25


def test_records_what_slurm_gave_the_job(node: Node) -> None:
    """The start marker names node and cluster, and what Slurm gave, in Slurm's own words."""
    node.runs("true")
    given = {"SLURM_CPUS_PER_TASK": "4", "SLURM_NTASKS": "2", "SLURM_MEM_PER_NODE": "100", "SLURM_MEM_PER_CPU": "50"}
    node.run(9, 2, SLURMD_NODENAME="cn12", SLURM_CLUSTER_NAME="frce", SLURM_JOB_PARTITION="norm", **given)
    start = parse_start((node.directory / "started").read_text())

    assert start is not None
    assert (start.external_jobid, start.restart, start.node, start.cluster) == ("9", 2, "cn12", "frce")
    assert {name: value for name, value in start.given.items() if value and name not in ("start", "cpus_usable")} == {
        "partition": "norm",
        "ntasks": "2",
        "cpus_per_task": "4",
        "mem_per_node": "100",
        "mem_per_cpu": "50",
    }
    assert float(start.given["start"]) > 0


@pytest.mark.parametrize(
    ("asked", "of_job", "of_node", "usable"),
    [("4", "2", "64", "2"), ("4", "2", "2", ""), ("1", "2", "64", "")],
    ids=["confined", "whole node", "one CPU"],
)
def test_records_the_cpus_that_a_job_is_confined_to(
    asked: str, of_job: str, of_node: str, usable: str, node: Node
) -> None:
    """A job that may use the whole node is confined to nothing, nor is one of one CPU; OpenMP confines no job."""
    unlimited = '[ -z "$OMP_NUM_THREADS$OMP_THREAD_LIMIT" ]'
    node.program("nproc", f'{unlimited} || exit 1\n[ "$1" = --all ] && echo {of_node} || echo {of_job}')
    node.runs("true")
    assert node.run(OMP_NUM_THREADS="1", OMP_THREAD_LIMIT="1", SLURM_CPUS_PER_TASK=asked) == 0
    start = parse_start((node.directory / "started").read_text())

    assert start is not None
    assert start.given["cpus_usable"] == usable


@pytest.mark.parametrize(
    ("shown", "limit"),
    [("JobId=7 TimeLimit=1-02:00:00 TimeMin=N/A", "1-02:00:00"), ("slurm_load_jobs error", "")],
)
def test_asks_slurm_for_its_time_limit_when_told_to(shown: str, limit: str, node: Node) -> None:
    """The limit stands in no variable; a node without `scontrol`, or one that does not know the job, says nothing."""
    node.program("scontrol", f"echo '{shown}'")
    node.runs("true", ask_limit=True)
    assert node.run() == 0
    start = parse_start((node.directory / "started").read_text())

    assert start is not None
    assert start.given["time_limit"] == limit


def test_records_a_start_without_anything_from_slurm(node: Node) -> None:
    """Where Slurm says nothing the fields are empty, and the node's own name stands for it."""
    node.runs("true")
    node.run()
    start = parse_start((node.directory / "started").read_text())

    assert start is not None
    assert (start.restart, start.node, start.cluster) == (0, os.uname().nodename, "")


def test_refuses_to_run_outside_slurm(node: Node) -> None:
    """Without a job number nothing is claimed and nothing run."""
    node.runs("touch ran")
    process = node.start(SLURM_JOB_ID="")
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode not in (0, TWIN_EXIT_CODE)
    assert b"this script runs as a Slurm job" in output
    assert not node.wrote("ran")


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_lets_one_of_many_racers_run(links: bool, node: Node) -> None:  # noqa: FBT001
    """Of 40 jobs with one token one runs the job command; each other ends with 75 and leaves nothing behind."""
    if not links:
        node.program("ln", "exit 1")
    node.runs("echo $SLURM_JOB_ID >>ran")
    racers = {jobid: node.start(jobid) for jobid in range(1, 41)}
    outputs = {jobid: process.communicate(timeout=PATIENCE_SECONDS)[0] for jobid, process in racers.items()}
    codes = {jobid: process.returncode for jobid, process in racers.items()}
    owner = int((node.directory / "claim").read_text())

    assert codes == {jobid: 0 if jobid == owner else TWIN_EXIT_CODE for jobid in racers}
    assert (node.settings.workdir / "ran").read_text() == f"{owner}\n"
    assert all(b"nothing is run twice" in output for jobid, output in outputs.items() if jobid != owner)
    found = {path.name for path in node.directory.iterdir()}
    assert found == {"claim", "control", "run.sh", "started", f"end.{owner}.0"}
    assert [path.name for path in node.settings.log_directory.iterdir()] == [f"{owner}.log"]
    assert node.done() == node.end(owner)


def test_claims_nothing_on_a_full_disk(node: Node) -> None:
    """A job that cannot write its claim runs nothing and leaves the claim to the next one."""
    node.runs("touch ran")
    node.most_blocks = "0"
    process = node.start()
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 74
    assert f"frceapi: cannot write in {node.directory} on ".encode() in output
    assert {path.name for path in node.directory.iterdir()} == {"control", "run.sh"}
    assert not node.wrote("ran")

    node.most_blocks = "unlimited"
    assert node.run(8) == 0
    assert node.wrote("ran")


def test_ends_a_twin_long_after_its_owner(node: Node) -> None:
    """A twin that starts after the owner's end ends with 75 all the same and names the owner."""
    node.runs("echo ran >>ran")
    node.run(7)
    process = node.start(8)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == TWIN_EXIT_CODE
    assert output == b"frceapi: job 8 is a twin of job 7, which runs this submission; nothing is run twice\n"
    assert (node.settings.workdir / "ran").read_text() == "ran\n"


@pytest.mark.parametrize(("code", "ends_with"), [(0, 0), (3, TWIN_EXIT_CODE)])
def test_a_twin_that_others_wait_for_ends_as_its_owner(code: int, ends_with: int, node: Node) -> None:
    """It waits for the owner's end, and ends well only if the owner did; nothing is run twice."""
    node.runs(f"echo ran >>ran; until [ -e go ]; do sleep 0.05; done; exit {code}", follows_owner=True)
    owner = node.start(7)
    wait_until(lambda: node.wrote("ran"))
    twin = node.start(8)
    wait_until((node.directory / "twin").exists)
    assert twin.poll() is None
    (node.settings.workdir / "go").touch()

    assert owner.wait(PATIENCE_SECONDS) == code
    assert twin.wait(PATIENCE_SECONDS) == ends_with
    assert (node.settings.workdir / "ran").read_text() == "ran\n"
    assert node.end(7).exit_code == code
    assert not list(node.directory.glob("end.8.*"))


def test_a_twin_waits_only_as_long_as_its_owner_lives(node: Node) -> None:
    """The owner shows that it lives where there is a twin; when it is killed, the twin does not wait for ever."""
    # The twin's time goes by in pauses of the owner, so that no busy machine makes a silence of it.
    ticks, dead = node.top / "ticks", node.top / "dead"
    ticks.touch()
    node.program(
        "sleep",
        f"""if [ "$SLURM_JOB_ID" = 7 ]; then echo >>"{ticks}"; exec /bin/sleep 0.01; fi
seen=$(wc -l <"{ticks}")
until [ -e "{dead}" ] || [ "$(wc -l <"{ticks}")" -gt "$seen" ]; do /bin/sleep 0.01; done""",
    )
    node.runs("echo ran >>ran; exec tail -f /dev/null", follows_owner=True, silence_seconds=100)
    owner = node.start(7)
    wait_until(lambda: node.wrote("ran"))
    assert not (node.directory / "alive").exists()
    twin = node.start(8)
    alive = node.directory / "alive"
    wait_until(lambda: alive.exists() and int(alive.read_text().strip() or 0) > 200)
    assert twin.poll() is None
    kill_job(owner)
    dead.touch()

    assert twin.wait(PATIENCE_SECONDS) == TWIN_EXIT_CODE
    assert (node.settings.workdir / "ran").read_text() == "ran\n"


@pytest.mark.parametrize("code", [0, 3])
def test_repeats_its_own_end_after_a_requeue(code: int, node: Node) -> None:
    """A requeue after an end of the job command's own gives its exit code, runs nothing and lists the end again."""
    node.runs(f"echo ran >>ran; exit {code}")
    node.run()
    node.settings.done.unlink()

    assert node.run(restart=1) == code
    assert (node.settings.workdir / "ran").read_text() == "ran\n"
    assert node.done() == node.end()
    assert not (node.directory / "end.7.1").exists()
    assert "its exit code is repeated" in node.log()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_forwards_a_signal_and_runs_again_after_a_requeue(name: str, node: Node) -> None:
    """A signal from outside reaches the job command and is recorded as such; the restart runs it again."""
    node.runs(
        "if [ -e ready ]; then echo again; exit 5; fi",
        "trap 'echo got TERM; exit 0' TERM",
        "touch ready; while :; do sleep 0.05; done",
    )
    process = node.start()
    wait_until(lambda: node.wrote("ready"))
    process.send_signal(getattr(signal, "SIG" + name))
    process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 143
    assert (node.end().exit_code, node.end().cause) == (143, Cause.SIGNAL)
    assert node.done() == node.end()
    assert "got TERM\n" in node.log()

    assert node.run(restart=1) == 5
    assert (node.end(restart=1).exit_code, node.end(restart=1).cause) == (5, Cause.OWN)
    assert node.done() == node.end(restart=1)
    assert node.log().endswith("again\n")


def test_records_a_signal_that_comes_before_the_job_command(node: Node) -> None:
    """A signal while the start is being recorded ends the job there, and the restart runs the job command."""
    node.program("mv", f'[ -e {node.top}/sent ] || {{ touch {node.top}/sent; kill -TERM $PPID; }}; exec /bin/mv "$@"')
    node.runs("touch ran; exit 5")

    assert node.run() == 143
    assert (node.end().exit_code, node.end().cause) == (143, Cause.SIGNAL)
    assert not node.wrote("ran")
    assert node.run(restart=1) == 5


def test_forwards_a_signal_that_comes_as_the_job_command_begins(node: Node) -> None:
    """A signal that is as early as can be reaches the job command all the same and is recorded."""
    node.runs("exec sleep 600", setup="kill -TERM $$")

    assert node.run() == 143
    assert (node.end().exit_code, node.end().cause) == (143, Cause.SIGNAL)


def test_runs_again_after_a_restart_without_any_end(node: Node) -> None:
    """A job that was killed without a word owns its claim when it is requeued, and runs."""
    node.runs("if [ -e ready ]; then exit 0; fi", "touch ready; exec sleep 600")
    process = node.start()
    wait_until(lambda: node.wrote("ready"))
    kill_job(process)

    assert node.run(restart=1) == 0
    assert node.end(restart=1).exit_code == 0


def test_runs_nothing_that_was_cancelled_before_it_started(node: Node) -> None:
    """The order to cancel, written while the job waits, ends it as it starts."""
    node.runs("touch ran")
    (node.directory / "control").write_text("# cancel\n")

    assert node.run() == 143
    assert (node.end().exit_code, node.end().cause) == (143, Cause.CANCELLED)
    assert node.done() == node.end()
    assert not node.wrote("ran")
    assert "was cancelled before it started" in node.log()


def test_ends_a_running_job_when_it_is_cancelled(node: Node) -> None:
    """The order to cancel, written while the job runs, ends the job command and all that it started."""
    node.runs("sleep 600 & echo $! >pid.part; mv pid.part pid; wait")
    process = node.start()
    wait_until(lambda: node.wrote("pid"))
    (node.directory / "control").write_text("# cancel\n")
    process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 143
    assert (node.end().exit_code, node.end().cause) == (143, Cause.CANCELLED)
    wait_until(lambda: not alive(int((node.settings.workdir / "pid").read_text())))


def test_ends_a_running_job_whose_run_directory_is_removed(node: Node) -> None:
    """The order to cancel is gone with its directory, and so is whoever waits for the job."""
    node.runs("sleep 600 & echo $! >pid.part; mv pid.part pid; wait")
    process = node.start()
    wait_until(lambda: node.wrote("pid"))
    node.directory.rename(node.directory.with_name("hidden"))
    process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 143
    wait_until(lambda: not alive(int((node.settings.workdir / "pid").read_text())))


def test_runs_nothing_whose_run_directory_is_removed_as_it_starts(node: Node) -> None:
    """A job that was given up between its claim and its command does not begin the command."""
    node.runs("touch ran")
    node.program("mv", f"/bin/mv {node.directory} {node.directory}.hidden")

    assert node.run() == 74
    assert not node.wrote("ran")
    assert "was removed; nothing is run" in node.log()


def test_ends_what_the_job_command_left_running(node: Node) -> None:
    """Background processes of the job command are ended with it."""
    node.runs("sleep 600 & echo $! >pid")

    assert node.run() == 0
    pid = int((node.settings.workdir / "pid").read_text())
    wait_until(lambda: not alive(pid))


def test_runs_on_while_it_may(node: Node) -> None:
    """Looks for an order find none and leave the job alone, also where the order cannot be read."""
    node.program("sleep", "exec /bin/sleep 0.01")
    node.runs(f"rm {node.directory}/control; /bin/sleep 0.3; exit 6")

    assert node.run() == 6


@pytest.mark.parametrize(
    ("umask", "file", "directory"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o002, 0o664, 0o775)]
)
def test_keeps_markers_private_and_gives_the_rest_the_users_modes(
    umask: int, file: int, directory: int, node: Node
) -> None:
    """Markers are for the user alone; log, its directories and outputs get the modes of the user's umask."""
    node.runs("umask; : >output; mkdir folder", umask=umask)

    assert node.run() == 0
    markers = ("claim", "started", "end.7.0")
    assert {mode(node.directory / name) for name in markers} == {0o600} == {mode(node.settings.done)}
    assert {mode(node.settings.log_directory / "7.log"), mode(node.settings.workdir / "output")} == {file}
    logs = node.settings.log_directory
    assert {mode(logs), mode(logs.parent), mode(node.settings.workdir / "folder")} == {directory}
    assert node.log() == f"{umask:04o}\n"


def variables(dump: bytes) -> dict[str, str]:
    """The variables of `env -0`, without those that each shell sets for itself."""
    pairs = dict(os.fsdecode(entry).split("=", 1) for entry in dump.split(b"\0")[:-1])
    return {name: value for name, value in pairs.items() if name not in ("PWD", "OLDPWD", "SHLVL", "_")}


def test_restores_the_environment_exactly(node: Node) -> None:
    """Each variable and function of the file is in the job as it was; Slurm's own variables are untouched."""
    define = """module() { echo "module $*"; }; my-tool.x() {\n echo "it's" '$(x)'\n}; export -f module my-tool.x"""
    defined = subprocess.run(
        ["bash", "-c", f"{define}; env -0"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    functions = {name: value for name, value in variables(defined.stdout).items() if name.startswith("BASH_FUNC_")}
    assert len(functions) == 2
    wanted = {
        **functions,
        **{f"NASTY_{number}": value for number, value in enumerate(NASTY)},
        "PATH": f"/users/own:{os.environ['PATH']}",
        "EMPTY": "",
        "EQUALS": "=a=b=",
        "NEWLINES": "\n\nx\n",
        "BYTES": "\udcff\udcfe",
        **{name: f"a {name}" for name in ("name", "entry", "value", "d", "code", "cause", "end", "line", "now")},
        "SHELL": "/bin/zsh",
        "CDPATH": "/usr",
    }
    file = node.top / "env"
    file.write_bytes(encode(wanted))
    node.runs("exec env -0", environment=file)

    assert node.run(SLURM_CPUS_PER_TASK="4", SLURM_TMPDIR="a b") == 0
    found = variables((node.settings.log_directory / "7.log").read_bytes())
    slurm = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "4", "SLURM_TMPDIR": "a b"}
    assert found == {**wanted, **slurm}


@pytest.mark.parametrize("posix", [{}, {"POSIXLY_CORRECT": "1"}], ids=["bash", "posix"])
def test_restores_what_comes_after_a_variable_that_no_shell_can_set(posix: dict[str, str], node: Node) -> None:
    """A variable such as UID, which many export, is what it is; all others are restored, in any mode of bash."""
    file = node.top / "env"
    file.write_bytes(encode({"EUID": "99", "PPID": "1", "UID": "99", "ZEBRA": "z", **posix}))
    node.runs("exec env -0", environment=file)

    assert node.run() == 0
    found = variables((node.settings.log_directory / "7.log").read_bytes())
    assert (found["UID"], found["ZEBRA"]) == (str(os.getuid()), "z")


def test_calls_restored_functions(node: Node) -> None:
    """Functions of the environment file work in the set-up and in the job command, and do not change the run script."""
    functions = {
        "BASH_FUNC_module%%": '() {  echo "module $*"\n}',
        "BASH_FUNC_cd%%": "() {  echo not me\n}",
        "BASH_FUNC_bad name%%": "() {  echo bad\n}",
        "BASH_FUNC_%%": "() {  echo bad\n}",
        "BASH_FUNC_broken%%": "() {  echo ",
        "1BAD": "x",
        "": "x",
        "GOOD": "yes",
    }
    file = node.top / "env"
    file.write_bytes(encode(functions))
    node.runs("module in job; pwd; echo $GOOD", environment=file, setup="module in set-up")

    assert node.run() == 0
    assert node.log() == f"module in set-up\nmodule in job\n{node.settings.workdir}\nyes\n"


def test_fails_without_its_environment_file(node: Node) -> None:
    """A job that cannot see its environment ends before its command, with a line in its log."""
    node.runs("touch ran", environment=node.top / "gone")

    assert node.run() == 74
    assert node.end().cause is Cause.OWN
    assert not node.wrote("ran")
    assert f"cannot read the environment file {node.top}/gone" in node.log()


@pytest.mark.parametrize(("slurms_path", "expected"), [(True, "/my env/bin:{}"), (False, "/my env/bin")])
def test_puts_a_directory_first_on_the_path(slurms_path: bool, expected: str, node: Node) -> None:  # noqa: FBT001
    """The running environment's programs come first, with Slurm's own search path behind them."""
    node.runs('/usr/bin/env | /bin/grep "^PATH="', path_first=Path("/my env/bin"))
    if not slurms_path:
        file = node.top / "env"
        file.write_bytes(b"PATH=\0")
        node.runs('/usr/bin/env | /bin/grep "^PATH="', path_first=Path("/my env/bin"), environment=file)

    node.run()
    assert node.log() == "PATH=" + expected.format(f"{node.bin}:{os.environ['PATH']}") + "\n"


def test_shows_the_set_up_to_the_job_command_only(node: Node) -> None:
    """The set-up's variables reach the job command; what it breaks does not reach the run script."""
    node.runs("echo $FROM_SETUP", setup="export FROM_SETUP='a  b'\nPATH=$PATH:/x; umask 0")

    assert node.run() == 0
    assert node.log() == "a b\n"
    assert mode(node.directory / "end.7.0") == 0o600


def test_fails_with_the_set_ups_own_code(node: Node) -> None:
    """A set-up that exits ends the job with its code, before the job command."""
    node.runs("touch ran", setup="echo no module; exit 9")

    assert node.run() == 9
    assert (node.end().exit_code, node.end().cause, node.log()) == (9, Cause.OWN, "no module\n")
    assert not node.wrote("ran")


def test_makes_a_private_tmpdir_and_removes_it(node: Node) -> None:
    """The job's TMPDIR lies in the scratch directory, is the user's alone and is gone afterwards with its content."""
    scratch = node.top / "scratch $(touch executed)"
    scratch.mkdir()
    node.runs('echo "$TMPDIR"; stat -c %a "$TMPDIR"; mkdir -p "$TMPDIR/a/b"; : >"$TMPDIR/a/b/c"', scratch=scratch)

    assert node.run() == 0
    directory, permissions = node.log().splitlines()
    assert Path(directory).parent == scratch
    assert permissions == "700"
    assert list(scratch.iterdir()) == []
    assert not list(node.top.rglob("executed"))


def test_removes_the_tmpdir_of_a_job_that_is_ended(node: Node) -> None:
    """The TMPDIR is removed also when a signal ends the job."""
    scratch = node.top / "scratch"
    scratch.mkdir()
    node.runs('touch "$TMPDIR/x" ready; exec sleep 600', scratch=scratch)
    process = node.start()
    wait_until(lambda: node.wrote("ready"))
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)

    assert list(scratch.iterdir()) == []


def test_fails_where_there_is_no_scratch_directory(node: Node) -> None:
    """A node without the scratch directory ends the job with a code and a line that names the setting."""
    node.runs("touch ran", scratch=node.top / "gone")

    assert node.run() == 73
    assert (node.end().exit_code, node.end().cause) == (73, Cause.OWN)
    assert "--frceapi-scratch" in node.log()
    assert not node.wrote("ran")


@pytest.mark.parametrize("name", NASTY)
def test_works_below_any_name(name: str, node: Node) -> None:
    """Working directory, run directory, log directory and jobscript may have any name; none is executed."""
    top = node.top / name
    workdir, spool, logs = top / name, top / "spool", top / "logs" / name
    for directory in (workdir, spool, top / "done"):
        directory.mkdir(parents=True)
    jobscript = top / name / name
    jobscript.write_text('pwd -P; echo "$0"; exit 3\n')
    settings = {"directory": spool / name, "done": top / "done" / name, "log_directory": logs, "workdir": workdir}
    node.runs(command=["/bin/bash", str(jobscript)], **settings)

    assert node.run() == 3
    assert node.log() == f"{workdir}\n{jobscript}\n"
    assert node.done() == node.end()
    assert not list(node.top.rglob("executed"))


def test_fails_in_a_working_directory_that_is_gone(node: Node) -> None:
    """A node that does not see the working directory ends the job with 72 and says which it is."""
    node.runs("touch ran", workdir=node.top / "gone")

    assert node.run() == 72
    assert (node.end().exit_code, node.end().cause) == (72, Cause.OWN)
    assert f"frceapi: cannot enter the working directory {node.top}/gone on " in node.log()


def test_fails_without_its_interpreter(node: Node) -> None:
    """A jobscript whose interpreter the node does not have ends with bash's own code and message."""
    node.runs(command=[str(node.top / "no such program"), "x"])

    assert node.run() == 127
    assert node.end().exit_code == 127
    assert "no such program" in node.log()


def test_leaves_its_output_to_slurm_where_the_log_cannot_be_written(node: Node) -> None:
    """Without a log the job runs all the same, and its output goes where Slurm puts it."""
    node.settings.log_directory.parent.write_text("a file in the place of the directory")
    node.runs("echo hello; exit 4")
    process = node.start()
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 4
    assert node.end().exit_code == 4
    assert f"cannot write the log {node.settings.log_directory}/7.log".encode() in output
    assert output.endswith(b"hello\n")


def test_begins_a_log_of_its_own(node: Node) -> None:
    """A log of the same number that another job has left is not continued, and not written through a link."""
    elsewhere = node.top / "elsewhere"
    elsewhere.write_text("not mine\n")
    node.settings.log_directory.mkdir(parents=True)
    (node.settings.log_directory / "7.log").symlink_to(elsewhere)
    node.runs("echo mine")
    node.run()

    assert node.log() == "mine\n"
    assert elsewhere.read_text() == "not mine\n"


def test_copies_its_end_where_it_cannot_be_linked(node: Node) -> None:
    """A file system without hard links gets a copy of the end in the listing of ends."""
    node.program("ln", "exit 1")
    node.runs("exit 8")

    assert node.run() == 8
    assert node.done() == node.end()
    assert node.settings.done.stat().st_nlink == 1


def test_tries_again_to_record_its_end(node: Node) -> None:
    """A write that fails, as on a full disk, is tried again, and the job ends with its own code."""
    full = f"[ -e {node.top}/full ] || {{ touch {node.top}/full; exit 1; }}"
    node.program("mv", f'case $* in *end.*) {full} ;; esac; exec /bin/mv "$@"')
    node.program("sleep", "exit 0")
    node.runs("exit 8", watch_seconds=60)

    assert node.run() == 8
    assert (node.end().exit_code, node.done()) == (8, node.end())
    assert "cannot record the end of the job" in node.log()
    assert "(try 1 of 3)" in node.log()
    assert "(try 2 of 3)" not in node.log()


def test_keeps_its_exit_code_when_no_end_can_be_recorded(node: Node) -> None:
    """Where three tries fail, Slurm still gets the job's own code and the log says what happened."""
    node.program("sleep", "exec /bin/sleep 0.01")
    node.runs(f"mkdir -p {node.directory}/end.7.0/end.7.0/in-the-way {node.directory}/.end.7.0; exit 8")

    assert node.run() == 8
    assert node.done() is None
    assert "(try 3 of 3)" in node.log()


@pytest.mark.parametrize("torn", ["", "id=7 restart=0 ex", "garbage\n"])
def test_repeats_no_end_that_is_not_complete(torn: str, node: Node) -> None:
    """A torn end is no end: the restart runs the job command."""
    node.runs("exit 2")
    (node.directory / "end.7.0").write_text(torn)

    assert node.run(restart=1) == 2


def test_runs_few_programs_beside_the_job_command(node: Node) -> None:
    """Each costs a job about a millisecond: two for the claim, one for the log, three for the start and the end."""
    for name in ("ln", "rm", "mkdir", "mv", "cp", "cat", "uname", "nproc", "timeout", "date"):
        node.program(name, f'echo {name} >>{node.top}/programs; exec /bin/{name} "$@"')
    node.runs("true")

    assert node.run(SLURMD_NODENAME="cn12") == 0
    assert (node.top / "programs").read_text().split() == ["ln", "rm", "mkdir", "mv", "mv", "ln"]


def test_touches_nothing_of_slurms_working_directory(node: Node) -> None:
    """The directory in which Slurm starts the job stays as it was."""
    node.runs("true")
    node.run()

    assert list((node.top / "slurm").iterdir()) == []


def test_job_renames_itself(node: Node) -> None:
    """On a cluster the job takes the name that it was given, and does not wait for Slurm's answer."""
    node.program(
        "scontrol", f"printf '%s\\n' \"$@\" >{node.top}/renamed.part; mv {node.top}/renamed.part {node.top}/renamed"
    )
    node.runs("true", name="map.A1")

    assert node.run(SLURM_CLUSTER_NAME="fnlcr") == 0
    wait_until((node.top / "renamed").exists)
    assert (node.top / "renamed").read_text().splitlines() == ["update", "JobId=7", "JobName=map.A1"]


@pytest.mark.parametrize("program", ["exec sleep 60", "exit 1", "kill -9 $$"])
def test_job_waits_for_no_name(node: Node, program: str) -> None:
    """A Slurm that does not answer, or refuses, neither holds the job up nor fails it, nor speaks in its log."""
    node.program("scontrol", program)
    node.runs("echo done", name="map.A1")

    assert node.run(SLURM_CLUSTER_NAME="fnlcr") == 0
    assert node.log() == "done\n"


@pytest.mark.parametrize(("name", "cluster"), [("", "fnlcr"), ("map", "sandbox"), ("map", "")])
def test_job_keeps_its_name_elsewhere(node: Node, name: str, cluster: str) -> None:
    """In a sandbox, whose numbers mean nothing to a Slurm of the machine, nobody is asked."""
    node.program("scontrol", f"touch {node.top}/asked")
    node.runs("sleep 0.5", name=name)

    assert node.run(SLURM_CLUSTER_NAME=cluster) == 0
    assert not (node.top / "asked").exists()


def test_records_the_memory_of_all_processes(node: Node) -> None:
    """What the job command and all below it held together is there while the job still runs."""
    hold = "x = bytearray(60 << 20); import time; time.sleep(600)"
    threaded = (
        "import subprocess, sys, threading; "
        f"threading.Thread(target=lambda: subprocess.run([sys.executable, '-c', '{hold}'])).start()"
    )
    node.runs(f"{sys.executable} -c '{hold}' & {sys.executable} -c \"{threaded}\" & wait")
    node.start()

    wait_until(lambda: node.peak_mb() >= 120)
    assert node.peak_mb() < 400


@pytest.mark.parametrize(
    ("groups", "file", "expected"),
    [
        ("0::/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0", "SCOPE/job_7/memory.peak", "300"),
        (
            "9:cpu:/x\n4:memory:/slurm/uid_1/job_7/step_batch",
            "memory/slurm/uid_1/job_7/memory.max_usage_in_bytes",
            "300",
        ),
        ("0::/job_7", "job_7/memory.peak", "300"),
        ("0::/system.slice/slurmstepd.scope/job_70/step_batch", "SCOPE/job_70/memory.peak", ""),
        ("0::/user.slice", "user.slice/memory.peak", ""),
        ("0::/job_7", "job_7/memory.current", ""),
    ],
    ids=["v2", "v1", "the job's own", "another job's", "none", "none that knows a peak"],
)
def test_reads_the_peak_of_its_own_cgroup_alone(groups: str, file: str, expected: str, node: Node) -> None:
    """The cgroup whose name ends in the job's number counts, in either version; what is the whole node's does not."""
    (node.top / "groups").write_text(groups + "\n")
    path = node.top / "root" / file.replace("SCOPE", "system.slice/slurmstepd.scope")
    path.parent.mkdir(parents=True)
    path.write_text(f"{300 * 1024}\n")
    node.runs("true")
    functions = (node.directory / "run.sh").read_text().replace("frceapi_main; exit", "")
    call = f"frceapi_id=7; frceapi_read_cgroup {node.top}/groups {node.top}/root; echo $frceapi_peak_kb"
    done = subprocess.run(["bash", "-c", f"{functions}\n{call}"], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == expected


def test_ends_with_node_and_peak(node: Node) -> None:
    """What was seen of the job's memory while it ran stands in its end, and how it was seen."""
    node.runs(f"{sys.executable} -c 'x = bytearray(60 << 20); import sys; sys.stdin.read()' <{node.top}/fifo")
    os.mkfifo(node.top / "fifo")
    process = node.start(SLURMD_NODENAME="cn1")
    with (node.top / "fifo").open("w"):
        wait_until(lambda: node.peak_mb() >= 60)
    process.communicate(timeout=PATIENCE_SECONDS)
    usage = node.end().usage

    assert (usage.node, usage.measured_by) == ("cn1", "samples")
    assert 60 <= (usage.peak_mb or 0) < 200
