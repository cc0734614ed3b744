"""Whole workflows over HTTPS and SPNEGO on a real Slurm: Snakemake's own tests for plugins, and the example."""

from __future__ import annotations

import csv
import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import snakemake.common.tests
from snakemake.settings.types import ResourceSettings
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_frceapi import ExecutorSettings

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

EXAMPLE = Path(__file__).parents[2] / "example_workflow"
_NOTHING = "Nothing to be done"

_TINY = """
    rule all:
        input: "sum.txt"

    rule number:
        output: "number/{n}.txt"
        threads: 2
        shell: "echo {wildcards.n} >{output}"

    rule total:
        output: "sum.txt"
        input: expand("number/{n}.txt", n=range(5))
        run:
            total = sum(int(Path(name).read_text()) for name in input)
            Path(output[0]).write_text(f"{total}\\n")
"""


class TestWorkflows(snakemake.common.tests.TestWorkflowsLocalStorageBase):  # type: ignore[misc]  # has no types
    """The simple and the group workflow, inside this process."""

    __test__ = True

    @pytest.fixture(autouse=True)
    def _sit_down(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name in ("KRB5CCNAME", *desk.rig.client_environment):
            monkeypatch.setenv(name, desk.environment[name])
        self.url = desk.rig.web.url
        before = set(desk.listing())
        yield
        desk.wait_for(lambda: desk.rig.slurm.job_ids() == [], "an empty queue")
        states = [row["state"] for job, row in desk.listing().items() if job not in before]
        assert states
        assert set(states) == {"COMPLETED"}

    def get_executor(self) -> str:
        """The executor's name."""
        return "frceapi"

    def get_executor_settings(self) -> ExecutorSettingsBase:
        """Its settings."""
        return ExecutorSettings(url=self.url, partition="norm", default_mem_mb_per_cpu=400)

    def get_resource_settings(self) -> ResourceSettings:
        """Memory for the rule that asks for 5 MB, for which Slurm would kill Snakemake itself."""
        return ResourceSettings(overwrite_resources={"c": {"mem": "400MB"}})


def missing_for_example() -> str:
    """Return in one line what the example workflow needs and this machine does not have; empty: nothing."""
    programs = [line for line in _lines("debian-packages.txt") if not shutil.which(line.split()[-1])]
    names = [line.partition(">")[0].partition("=")[0] for line in _lines("requirements.txt")]
    packages = [name for name in names if importlib.util.find_spec(name) is None]
    if programs or packages:
        return f"the example workflow needs {', '.join(programs + packages)}"
    known = subprocess.run(["apt-cache", "madison", "gasic-examples"], capture_output=True, text=True, check=False)
    return "" if known.stdout else "apt does not know the example's data, the Debian package gasic-examples"


def _lines(name: str) -> list[str]:
    lines = (EXAMPLE / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_profile_for_the_cluster(desk: Desk) -> None:
    """The example's profile for the cluster runs a workflow; a second run has nothing to do."""
    desk.write("Snakefile", _TINY)
    profile = str(EXAMPLE / "profiles" / "frce")
    first = desk.run("--workflow-profile", profile)
    second = desk.run("--workflow-profile", profile)

    assert first.exit_code == 0, first.output
    assert desk.read("sum.txt") == "10\n"
    assert second.exit_code == 0
    assert _NOTHING in second.output


@pytest.mark.long
def test_example_workflow(desk: Desk) -> None:
    """The example finds the two crossovers that its text tells of; a second run has nothing to do."""
    if missing := missing_for_example():
        pytest.skip(missing)
    made_by_runs = shutil.ignore_patterns(".snakemake", "results")
    shutil.copytree(EXAMPLE, desk.directory, ignore=made_by_runs, dirs_exist_ok=True)
    first = desk.run("--workflow-profile", "profiles/frce")
    second = desk.run("--workflow-profile", "profiles/frce")

    assert first.exit_code == 0, first.output
    with (desk.directory / "results" / "crossovers.tsv").open(encoding="utf-8") as table:
        assert len(list(csv.reader(table, delimiter="\t"))) == 1 + 2
    assert (desk.directory / "results" / "mosaic.png").stat().st_size > 0
    assert second.exit_code == 0
    assert _NOTHING in second.output
