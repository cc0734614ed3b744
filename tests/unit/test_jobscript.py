"""Tests of the launcher, which is really run by bash, and of the text of the run script."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.jobscript import (
    NOT_SEEN_EXIT_CODE,
    RunSettings,
    interpreter,
    launcher,
    run_script,
)
from snakemake_executor_plugin_frceapi.spool import launcher_below, new_token

NAMES = ["plain", "two words", "it's", 'a "quote"', "new\nline", "$(touch executed)", "`touch executed`", "Größe\u2028"]


def program(directory: Path, name: str, text: str) -> None:
    """A program in `directory` that stands for the real one."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def launch(directory: Path, bin_dir: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the launcher as Slurm would, with the programs of `bin_dir` first and the run script beside the directory."""
    return subprocess.run(
        ["bash", "-c", launcher(str(directory), "../shared/it's run")],
        env={"PATH": f"{bin_dir}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def write_run_directory(directory: Path, text: str) -> Path:
    """Write a run directory that sets a variable, and a run script, whose path is returned."""
    directory.mkdir()
    (directory / "control").write_text("# run\nfrceapi_said='it'\n")
    script = directory.parent / "shared" / "it's run"
    script.parent.mkdir()
    script.write_text(text)
    return script


@pytest.fixture
def impatient(tmp_path: Path) -> Path:
    """A directory with a `sleep` that notes its argument and returns at once."""
    program(tmp_path / "bin", "sleep", f"echo $1 >>{tmp_path}/slept")
    return tmp_path / "bin"


@pytest.mark.parametrize("name", NAMES)
def test_hands_over_to_the_run_script(name: str, tmp_path: Path, impatient: Path) -> None:
    """The run script is run at once for any directory, knows what stands there, and its exit code is the launcher's."""
    directory = tmp_path / name
    write_run_directory(directory, "echo ran $frceapi_said; pwd; exit 42\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = launch(directory, impatient, elsewhere)

    assert (done.returncode, done.stdout, done.stderr) == (42, f"ran it\n{elsewhere}\n", "")
    assert not (tmp_path / "slept").exists()
    assert list(elsewhere.iterdir()) == []


def test_waits_half_a_minute_for_a_directory_that_is_not_seen(tmp_path: Path, impatient: Path) -> None:
    """A node that does not see the directory looks for 30 s, says so in one line and ends with a code of its own."""
    done = launch(tmp_path / "no where", impatient, tmp_path)

    assert done.returncode == NOT_SEEN_EXIT_CODE == 66
    assert sum(map(int, (tmp_path / "slept").read_text().split())) == 30
    assert done.stderr.count("\n") == 1
    assert f"does not see {tmp_path}/no where as a directory of" in done.stderr


@pytest.mark.parametrize("late", ["directory", "script"])
def test_finds_what_appears_late(late: str, tmp_path: Path) -> None:
    """A directory or a run script that the attribute cache hides at first is used as soon as it is seen."""
    directory = tmp_path / "late"
    script = write_run_directory(directory, "exit 7\n")
    hidden = directory if late == "directory" else script
    hidden.rename(tmp_path / "hidden")
    program(tmp_path / "bin", "sleep", f'mv {tmp_path}/hidden "{hidden}"')

    assert launch(directory, tmp_path / "bin", tmp_path).returncode == 7


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("given_away", ["directory", "control", "script"])
def test_refuses_what_belongs_to_somebody_else(given_away: str, tmp_path: Path, impatient: Path) -> None:
    """Nothing is run, or read, that is not the user's own."""
    directory = tmp_path / "theirs"
    script = write_run_directory(directory, "echo ran\n")
    os.chown({"directory": directory, "control": directory / "control", "script": script}[given_away], 12345, -1)
    done = launch(directory, impatient, tmp_path)

    assert (done.returncode, done.stdout) == (66, "")


@pytest.mark.parametrize("path", ["/" + "x" * 254 + "/" + "y" * 254, "/" + "ü" * 700, "/it's" * 250])
def test_stays_far_below_what_a_request_may_hold(path: str) -> None:
    """The launcher fits into a request of 4,000 bytes with room for the other fields, for any usable path."""
    assert len(launcher_below(Path(path), new_token()).encode()) < 3500


def test_carries_nothing_but_the_directory() -> None:
    """Two launchers differ in their directories only, so no value of a workflow travels in a request."""
    one, other = (launcher(path, "../s") for path in ("/a/1", "/b/2"))

    assert one.replace("/a/1", "/b/2") == other
    assert one.startswith("#!/bin/bash\n")


def test_quotes_every_value_of_a_run_script(tmp_path: Path) -> None:
    """Bash reads each variable of a run script back as it was, whatever stands in it, and executes none."""
    nasty = [tmp_path / name for name in NAMES]
    settings = RunSettings(
        directory=nasty[0],
        done=nasty[1],
        log_directory=nasty[2],
        workdir=nasty[3],
        command=[str(path) for path in nasty],
        environment=nasty[4],
        path_first=nasty[5],
        setup="\n".join(NAMES),
        scratch=nasty[6],
        umask=0o27,
        watch_seconds=3,
        upstream=nasty,
        upstream_seconds=4,
        heartbeat=nasty[7],
        silence_seconds=5,
    )
    names = ("directory", "done", "log_directory", "workdir", "environment", "path_first", "setup", "scratch")
    numbers = ("umask", "watch_seconds", "upstream_seconds", "silence_seconds")
    shown = [f"${{frceapi_{name}}}" for name in (*names, "heartbeat", *numbers, "command[@]", "upstream[@]")]
    printing = settings.render() + "printf '%s\\0' " + " ".join(f'"{name}"' for name in shown)
    done = subprocess.run(["bash", "-c", printing], cwd=tmp_path, capture_output=True, check=True)

    expected = [*nasty[:6], "\n".join(NAMES), nasty[6], nasty[7], "0027", "3", "4", "5", *nasty, *nasty]
    assert done.stdout.decode().split("\0")[:-1] == list(map(str, expected))
    assert list(tmp_path.iterdir()) == []
    assert run_script().endswith("frceapi_main; exit\n")


def test_leaves_empty_what_is_not_set() -> None:
    """Whatever a run script does without, from the environment to the heartbeat, has an empty variable."""
    path = Path("/x")
    text = RunSettings(directory=path, done=path, log_directory=path, workdir=path, command=["true"]).render()
    lines = text.splitlines()

    assert {f"frceapi_{name}=''" for name in ("environment", "path_first", "setup", "scratch", "heartbeat")} <= set(
        lines
    )
    assert "frceapi_umask=0022" in lines
    assert f"frceapi_command=({shlex.quote('true')})" in lines
    assert "frceapi_upstream=()" in lines


@pytest.mark.parametrize(
    ("jobscript", "expected"),
    [
        ("#!/bin/sh\necho", ["/bin/bash"]),
        ("#! /bin/sh\n", ["/bin/bash"]),
        ("#!/bin/sh -e\n", ["/bin/sh", "-e"]),
        ("#! /bin/bash  \necho", ["/bin/bash"]),
        ("#!/usr/bin/env bash\n", ["/usr/bin/env", "bash"]),
        ("#!/usr/bin/env -S bash -l\n", ["/usr/bin/env", "-S bash -l"]),
        ("#!/bin/bash", ["/bin/bash"]),
        ("#!/bin/bash\r\n", ["/bin/bash"]),
        ("#!/bin/bash\t-l\n", ["/bin/bash", "-l"]),
        ("echo\n#!/bin/bash", ["/bin/bash"]),
        ("", ["/bin/bash"]),
    ],
)
def test_reads_the_interpreter_as_the_kernel_does(jobscript: str, expected: list[str]) -> None:
    """The first line names a program and at most one argument, as execve(2) has it; bash stands in for /bin/sh."""
    assert interpreter(jobscript) == expected


@pytest.mark.parametrize("first", ["#!", "#!   "])
def test_refuses_a_first_line_without_a_program(first: str) -> None:
    """A jobscript that nothing can run is an error that names the flag and the remedy."""
    with pytest.raises(JobError, match=r"--jobscript: .*write '#!/bin/bash'"):
        interpreter(first + "\necho")
