"""A place in which the blocks of one chapter run: a small workflow, a sandbox, and what users have beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import snakemake_executor_plugin_frceapi.partitions
from snakemake_executor_plugin_frceapi.sandbox import Sandbox
from tests.docs.pages import block_of
from tests.quick_jobs import quick_jobscript
from tests.snakemake_process import NOT_OURS

PROFILE = "profiles/frce/config.yaml"

_LONGEST_SECONDS = "300"
_STAND_INS = ("kinit",)
"""Programs that need what is not here, a KDC; tests/cluster has one."""

_SNAKEFILE = """\
rule all:
    localrule: True
    input: "results/counts.txt"

rule count:
    input: "results/words.txt"
    output: "results/counts.txt"
    threads: 2
    shell: "wc {input} >{output}"

rule write:
    output: "results/words.txt"
    shell: "echo some words >{output}"
"""
_OF_THIS_MACHINE = """\
jobscript: {directory}/quick.sh
frceapi-scratch: {directory}
seconds-between-status-checks: 1
"""
"""A workflow profile: what is not as on FRCE, where a profile of the documentation says so."""

_SLURM_PROFILE = """\
executor: slurm
jobs: 10
slurm-logdir: logs
default-resources:
  slurm_account: project
  runtime: 30
  mem_mb: 100
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """The place.

    Attributes:
        directory: the working directory, with a workflow of two jobs.
        environment: the variables of its commands.
    """

    directory: Path
    environment: dict[str, str]

    def write(self, name: str, text: str) -> Path:
        """Write a file below the working directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def write_profile(self) -> None:
        """Write the profile of the chapter about the first run, which other chapters use."""
        self.write(PROFILE, block_of("docs/further.md", "First run on FRCE", "yaml").text)

    def run(self, command: str) -> str:
        """Run a command as a user types it, and return what it prints.

        Raises:
            AssertionError: its exit code is not 0.
        """
        done = subprocess.run(
            ["timeout", _LONGEST_SECONDS, "bash", "-euo", "pipefail", "-c", command],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def clear(self) -> None:
        """Remove what runs have made, so that the next one has something to do."""
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.directory / name, ignore_errors=True)


def set_up(directory: Path, sandbox: Sandbox) -> Desk:
    """Return a desk whose commands find a sandbox, and a home of their own."""
    programs = directory.with_name("programs")
    programs.mkdir()
    for name in _STAND_INS:
        (programs / name).symlink_to("/bin/true")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    place = {"HOME": str(directory), "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    table = Path(snakemake_executor_plugin_frceapi.partitions.__file__).with_name("frce.yaml")
    service = {"SNAKEMAKE_FRCEAPI_URL": sandbox.url, "SNAKEMAKE_SLURM_PARTITIONS": str(table)}
    desk = Desk(directory, kept | place | service)
    desk.write("Snakefile", _SNAKEFILE)
    desk.write("quick.sh", quick_jobscript())
    desk.write("profiles/default/config.yaml", _OF_THIS_MACHINE.format(directory=directory))
    desk.write("profiles/slurm/config.yaml", _SLURM_PROFILE)
    return desk
