"""Tests of the scripts of jobs without run directories: what they do is seen by running them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.inline import InlineScript, compress, largest_part
from snakemake_executor_plugin_frceapi.inlining import InlinePreparation
from snakemake_executor_plugin_frceapi.preparation import ReadyJob
from snakemake_executor_plugin_frceapi.resources import RequestDefaults
from snakemake_executor_plugin_frceapi.wire import MAX_REQUEST_BYTES, Encoding

JOBID = "77"


@dataclass
class Node:
    """A node with a home, a place for temporary files and a directory that jobs begin in."""

    top: Path

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "begin"):
            (self.top / name).mkdir()
        self.script = InlineScript(log_directory="~/.logs of mine")

    @property
    def log(self) -> Path:
        """The log of the job."""
        return self.top / "home" / ".logs of mine" / f"{JOBID}.log"

    def run(self, text: str) -> int:
        """Run a script as Slurm does, from a file, and return its exit code."""
        file = self.top / "slurm_script"
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.top / "home"), "SLURM_JOB_ID": JOBID}
        environment["TMPDIR"] = str(self.top / "tmp")
        done = subprocess.run(["/bin/bash", file], cwd=self.top / "begin", env=environment, check=False)
        return done.returncode

    def left(self) -> list[str]:
        """What there is of temporary files, and in the directory that jobs begin in."""
        return [path.name for name in ("tmp", "begin") for path in (self.top / name).iterdir()]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node without jobs."""
    return Node(tmp_path)


FORMS = pytest.mark.parametrize("pack", [pytest.param(str, id="plain"), pytest.param(compress, id="packed")])


@FORMS
@pytest.mark.parametrize("exit_code", [0, 1, 66, 255])
def test_ends_with_the_exit_code_of_the_command(pack: Any, exit_code: int, node: Node) -> None:
    """Success and each failure arrive at Slurm; the log stays after a failure; nothing else is left."""
    script = replace(node.script, command=f"echo some words && exit {exit_code}")

    assert node.run(pack(script.render())) == exit_code
    assert node.log.exists() == (exit_code != 0)
    assert exit_code == 0 or node.log.read_text() == "some words\n"
    assert node.left() == []


@FORMS
def test_works_in_a_directory_of_its_own(pack: Any, node: Node) -> None:
    """What a job writes beside itself is gone at its end, whatever it is."""
    command = 'mkdir -p a/b && : >a/b/c && [ "$(pwd)" != "$OLDPWD" ] && ls -A'
    script = replace(node.script, command=command, keep_log=True)

    assert node.run(pack(script.render())) == 0
    assert node.log.read_text() == "a\n"
    assert node.left() == []


def test_gives_what_was_asked_for(node: Node) -> None:
    """Variables, the search path, a TMPDIR, the set-up and the umask hold for the command."""
    value = "it's $(touch harm) `touch harm` \\ \"\n ü"
    script = replace(
        node.script,
        command='echo "$NAME|$PATH|$TMPDIR|$SET|$(umask)|$(pwd)"',
        environment={"NAME": value},
        path_first=Path("/some where/bin"),
        setup="SET=up\nexport SET",
        scratch=node.top / "scr$atch",
        workdir=node.top / "begin",
        umask=0o027,
        keep_log=True,
    )
    (node.top / "scr$atch").mkdir()

    assert node.run(compress(script.render())) == 0
    told = node.log.read_text().rstrip("\n")
    given_value, path, tmpdir, setup, umask, workdir = told.rsplit("|", 5)
    assert given_value == value
    assert path.startswith("/some where/bin:")
    assert Path(tmpdir).parent.parent == node.top / "scr$atch"
    assert (setup, umask, workdir) == ("up", "0027", str(node.top / "begin"))
    assert not list((node.top / "scr$atch").iterdir())
    assert node.left() == []


@FORMS
@pytest.mark.parametrize("setup", ["echo set up \\", "if true", "echo 'set", ")", "# nothing"])
def test_keeps_the_set_up_out_of_the_command(pack: Any, setup: str, node: Node) -> None:
    """Lines that are no whole command, or one that goes on, fail by themselves; the job command runs all the same."""
    script = replace(node.script, command="echo done && exit 3", setup=setup)

    assert node.run(pack(script.render())) == 3
    assert node.log.read_text().endswith("done\n")


@pytest.mark.parametrize("shebang", ["#!/bin/sh", "#!/usr/bin/env bash", ""])
def test_runs_a_jobscript_of_the_users_own(shebang: str, node: Node) -> None:
    """The file of --jobscript is run by the program that its first line names."""
    script = replace(node.script, command="exit 1", jobscript=f"{shebang}\necho 'of mine'\nexit 3\n")

    assert node.run(script.render()) == 3
    assert node.log.read_text() == "of mine\n"


def test_says_where_it_cannot_work(node: Node) -> None:
    """A working directory that the node does not have, and a scratch directory, fail the job."""
    assert node.run(replace(node.script, workdir=node.top / "none", command="true").render()) == 72
    assert "none" in node.log.read_text()
    assert node.run(replace(node.script, scratch=node.top / "none", command="true").render()) == 73


def test_fails_where_the_text_was_cut(node: Node) -> None:
    """A packed script of which a part was lost runs nothing and fails."""
    packed = compress(replace(node.script, command="touch harm").render())

    assert node.run(packed.replace("|gzip", "|head -c 40|gzip")) != 0
    assert node.left() == []


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200))
def test_keeps_every_character(text: str) -> None:
    """What is packed is what comes out, also of text that is no ASCII."""
    packed = compress(f"#!/bin/bash\n: {text}").replace('eval "$s"', 'printf %s "$s"')
    done = subprocess.run(["/bin/bash", "-c", packed], capture_output=True, check=True)

    assert done.stdout == f"#!/bin/bash\n: {text}".rstrip("\n").encode()


def prepared(command: str, **options: Any) -> dict[str, Any]:
    """The document that is sent for a job command."""
    job = ReadyJob(
        name="map",
        is_group=False,
        works=(),
        wildcards={},
        attempt=1,
        resources={"mem_mb": 100, "dependency": options.pop("dependency", None)},
        threads=1,
        jobname="map.1",
        command=command,
        jobscript=f"{command}\n",
    )
    script = InlineScript(log_directory="~/logs", **options)
    submission, _ = InlinePreparation(RequestDefaults("norm", 400, None), Encoding(), script, Path()).prepare(job, None)
    document: dict[str, Any] = json.loads(submission.body)
    assert len(submission.body) < MAX_REQUEST_BYTES
    return document


def test_is_packed_only_where_it_must_be() -> None:
    """A short command can be read in the script, a long one cannot."""
    assert "python -m snakemake --mode remote" in prepared("python -m snakemake --mode remote")["script-body"]
    assert "base64 -d" in prepared("python -m snakemake " + " ".join(f"--word-{n}" for n in range(400)))["script-body"]
    assert "base64 -d" in prepared("cat \udcff")["script-body"]


NOISE = "".join(f"{n * n * 7919 % 65537:x}" for n in range(2000))


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        (f"snakemake --config a={NOISE} --mode remote", {}, ["--config", "--configfile"]),
        (f"snakemake --target-jobs a:{NOISE} --config a=b", {}, ["--target-jobs", "make groups smaller"]),
        (f"snakemake --anything {NOISE}", {}, ["--anything", "make it shorter"]),
        (f"{NOISE} --mode remote", {}, ["the job command"]),
        ("snakemake", {"environment": {"LONG": NOISE, "SHORT": "a"}}, ["--frceapi-export (LONG)", "fewer variables"]),
        ("snakemake", {"setup": f": {NOISE}"}, ["--frceapi-job-setup", "into a file"]),
    ],
)
def test_names_what_makes_it_too_large(command: str, options: dict[str, Any], words: list[str]) -> None:
    """The message has the size, the part that needs most of it, and what to do about that."""
    with pytest.raises(JobError, match=r"has [5-9],\d\d\d bytes although it is compressed") as caught:
        prepared(command, **options)

    assert all(word in str(caught.value) for word in words)


def test_blames_a_dependency_that_is_too_long() -> None:
    """What is not in the script is not made smaller there."""
    with pytest.raises(JobError, match="of them are the dependency; name fewer jobs"):
        prepared("snakemake", dependency="afterok:" + ":".join(str(n) for n in range(10_000, 11_000)))


def test_counts_an_option_that_comes_twice_as_one() -> None:
    """The parts of a script are the whole of it, the command as it is."""
    script = InlineScript(log_directory="/logs", command=f"a --b c  d --g --b 'e {NOISE}'")

    assert "".join(text for _, text in script.parts()) in script.render()
    assert f"\n{script.command}\n" in script.render()
    assert "for --b;" in largest_part(script)
