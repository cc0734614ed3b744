"""Tests of what the Snakemake that a job runs is called with; Snakemake's own objects are stood for by plain values."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_executor_plugins.settings import SharedFSUsage

from snakemake_executor_plugin_frceapi.spawning import Spawning

HOSTILE = "s3://bucket/it's $(touch harm) `touch harm`;&"


class Executor:
    """An executor whose jobs share what a test wants.

    Attributes:
        shared: files that jobs share, by what they are.
    """

    common_settings = None
    snakefile = "workflow/Snakefile"
    jobscript = "#!/bin/sh\n# properties = {properties}\n{exec_job}\n"
    is_default_jobscript = True

    def __init__(self, *usages: SharedFSUsage, precommand: str = "") -> None:
        self.shared: dict[str, bytes] = {}
        factory = SimpleNamespace(
            general_args=lambda **_: "--force",
            get_default_storage_provider_args=lambda: f"--default-storage-prefix {HOSTILE!r}",
            get_storage_provider_args=lambda: iter(["--storage-s3-retries 5"]),
        )
        self.workflow = SimpleNamespace(
            spawned_job_args_factory=factory,
            source_archive=SimpleNamespace(query=f"{HOSTILE}.tar.xz", checksum="5eed"),
            storage_settings=SimpleNamespace(shared_fs_usage=set(usages)),
            remote_execution_settings=SimpleNamespace(precommand=precommand),
            dag=SimpleNamespace(get_unneeded_temp_files=lambda _: []),
        )

    def get_python_executable(self) -> str:
        """The interpreter of the nodes."""
        return "python"

    def get_exec_mode(self) -> SimpleNamespace:
        """The mode of a job's Snakemake."""
        return SimpleNamespace(item_to_choice=lambda: "remote")

    def share(self, kind: str, content: bytes) -> Path:
        """Stand for the run directory."""
        self.shared[kind] = content
        return Path("/shared") / kind


def job(files: int = 0) -> SimpleNamespace:
    """A job that waits for some files."""
    target = SimpleNamespace(rulename="map", wildcards_dict={})
    return SimpleNamespace(
        get_target_spec=lambda: [target],
        get_wait_for_files=lambda: [f"input/{number:06}" for number in range(files)],
        rules=["map"],
        is_group=lambda: False,
        attempt=1,
    )


def test_unpacks_sources_that_are_not_shared() -> None:
    """Before the job comes the command that unpacks the sources, of which no word is code."""
    words = shlex.split(Spawning(Executor(precommand="module load x"), None).command(job(), 1))

    assert words[:4] == ["module", "load", "x", "&&"]
    deploy = words[4 : words.index("&&", 4)]
    assert deploy[:6] == ["python", "-m", "snakemake", "--deploy-sources", f"{HOSTILE}.tar.xz", "5eed"]
    assert deploy[6:] == ["--default-storage-prefix", HOSTILE, "--storage-s3-retries", "5"]
    assert words[words.index("&&", 4) + 1 :][:5] == ["python", "-m", "snakemake", "--snakefile", "workflow/Snakefile"]


def test_writes_once_what_is_the_same_for_all_jobs() -> None:
    """Snakemake is asked once for the arguments of the run, whatever the number of jobs."""
    executor, asked = Executor(SharedFSUsage.SOURCES), list[int]()

    def general_args(**_: object) -> str:
        asked.append(1)
        return "--force"

    executor.workflow.spawned_job_args_factory.general_args = general_args
    spawning = Spawning(executor, None)
    commands = [spawning.command(job(), cores) for cores in (1, 2)]

    assert asked == [1]
    assert commands[0].replace("--cores 1", "--cores 2") == commands[1]
    assert all(command.endswith(" --force --mode remote") for command in commands)


def test_unpacks_nothing_that_is_shared() -> None:
    """Where the sources are shared, the job begins with its own Snakemake."""
    command = Spawning(Executor(SharedFSUsage.SOURCES), None).command(job(), 1)

    assert command.startswith("python -m snakemake --snakefile")
    assert "--deploy-sources" not in command


@pytest.mark.parametrize(
    ("usages", "files", "waits", "shares"),
    [
        pytest.param([], 10, False, False, id="inputs that are not shared"),
        pytest.param([SharedFSUsage.INPUT_OUTPUT], 10, True, False, id="a few"),
        pytest.param([SharedFSUsage.INPUT_OUTPUT], 10_000, False, True, id="many"),
    ],
)
def test_waits_for_inputs_that_are_shared(
    usages: list[SharedFSUsage], files: int, *, waits: bool, shares: bool
) -> None:
    """A few are named in the command, many in a file; those in a storage are not waited for."""
    executor = Executor(SharedFSUsage.SOURCES, *usages)
    words = shlex.split(Spawning(executor, executor.share).command(job(files), 1))

    assert ("--wait-for-files" in words, "--wait-for-files-file" in words) == (waits, shares)
    assert list(executor.shared) == (["files"] if shares else [])


def test_names_all_inputs_where_no_file_can_be_shared() -> None:
    """Without a run directory there is no file for them; the request may be too large then, which is told."""
    executor = Executor(SharedFSUsage.SOURCES, SharedFSUsage.INPUT_OUTPUT)

    assert "input/009999" in Spawning(executor, None).command(job(10_000), 1)
