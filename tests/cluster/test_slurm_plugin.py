"""A profile for the slurm plugin, and its conversion: what both plugins ask of the same Slurm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.profiles.convert import convert
from tests.slurm_plugin import PLACE, WHY_NOT

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_SNAKEFILE = """
    rule all:
        input: "plain", "wide", "spread", "mpi", "node", "extra", "constrained", "with_gpu", "nice"
        localrule: True

    rule:
        name: "plain"
        output: "plain"
        threads: 4
        shell: "touch {output}"
"""
_RULE = """
    rule:
        name: "{name}"
        output: "{name}"
        shell: "touch {{output}}"
"""
_PROFILE = """
    # As the documentation of the slurm plugin has it.
    executor: slurm
    keep-going: true
    default-resources:
      slurm_partition: norm
      slurm_account: lab
      runtime: 2h
      mem_mb_per_cpu: 100
    slurm-requeue: true
    set-resources:
      wide:
        cpus_per_task: 3
        mem_mb_per_cpu: 150
        runtime: 1d
      spread:
        tasks: 4
      mpi:
        mpi: srun
        tasks_per_node: 2
        nodes: 1
      node:
        slurm_partition: largemem
        runtime: 45
      extra:
        slurm_extra: "'--ntasks-per-core=1 --dependency=afterany:EARLIER'"
      constrained:
        constraint: fast
      with_gpu:
        gres: "'gpu:1'"
      nice:
        slurm_extra: "'--nice=150'"
"""
_SENT = ["extra", "mpi", "node", "plain", "spread", "wide"]
_REFUSED = {
    "constrained": "the API cannot express constraint='fast'",
    "with_gpu": "the API cannot express gres='gpu:1'",
    "nice": "slurm_extra='--nice=150'; the API cannot express --nice",
}
_SAME = (
    *("Partition", "TimeLimit", "NumCPUs", "NumTasks", "CPUs/Task", "NtasksPerN:B:S:C"),
    *("MinMemoryCPU", "MinMemoryNode", "Dependency"),
)
"""Fields of ``scontrol show job`` that tell what was asked."""


def write_workflow(desk: Desk, earlier: str) -> None:
    """Write the workflow and the profile for the slurm plugin."""
    rules = [_RULE.format(name=name) for name in (*_SENT, *_REFUSED) if name != "plain"]
    desk.write("Snakefile", _SNAKEFILE + "".join(rules))
    desk.write("slurm.yaml", _PROFILE.replace("EARLIER", earlier))
    (desk.directory / "frce.yaml").write_text(convert(desk.read("slurm.yaml")), encoding="utf-8")


def table(desk: Desk) -> list[list[str]]:
    """The rows of the table of jobs in the log directory."""
    return [line.split("\t") for line in desk.read(".snakemake/frceapi_logs/jobs.tsv").splitlines()[1:]]


def asked(shown: dict[str, str]) -> dict[str, str | None]:
    """What of a job can be compared."""
    return {field: shown.get(field) for field in _SAME}


@pytest.fixture
def held(desk: Desk) -> Iterator[Desk]:
    """A desk at a cluster that takes jobs and starts none."""
    for partition in ("norm", "largemem"):
        desk.rig.slurm.run("scontrol", "update", f"PartitionName={partition}", "State=DOWN")
    yield desk
    for partition in ("norm", "largemem"):
        desk.rig.slurm.run("scontrol", "update", f"PartitionName={partition}", "State=UP")


def asked_by_slurm_plugin(desk: Desk) -> dict[str, dict[str, str | None]]:
    """What the slurm plugin asks for, by rule; its jobs are cancelled before they start."""
    slurm = desk.rig.slurm
    environment, defaults = desk.environment, desk.defaults
    path = os.pathsep.join(filter(None, [str(PLACE), environment.get("PYTHONPATH")]))
    desk.environment = {**environment, **slurm.environment, "PYTHONPATH": path}
    desk.defaults = ["--nocolor", "--nolock", "--jobs", "20", "--workflow-profile", "slurm.yaml"]
    running = desk.start()
    desk.environment, desk.defaults = environment, defaults

    def jobs() -> dict[str, dict[str, str]]:
        """The jobs by rule, which the slurm plugin writes into the comment."""
        shown = [job for job in slurm.show_jobs().values() if job.get("Comment", "").startswith("rule_")]
        return {job["Comment"].removeprefix("rule_"): job for job in shown}

    desk.wait_for(lambda: {*_SENT, "nice"} <= set(jobs()), "the jobs of the slurm plugin")
    running.kill()
    return {rule: asked(job) for rule, job in jobs().items()}


@pytest.mark.skipif(not PLACE.exists(), reason=WHY_NOT)
def test_converted_profile_asks_for_the_same(held: Desk) -> None:
    """Slurm sees the same of both plugins' jobs; what cannot be said is refused or left out, as the table tells."""
    slurm = held.rig.slurm
    earlier = slurm.run("sbatch", "--parsable", "--partition=norm", "--output=/dev/null", "--wrap=true").strip()
    write_workflow(held, earlier)
    expected = asked_by_slurm_plugin(held)
    running = held.start("--workflow-profile", "frce.yaml", "--jobs", "20")
    held.wait_for(lambda: len(table(held)) == len(_SENT), "the jobs of this plugin")
    output = running.output.read_text("utf-8")
    running.kill()

    found = {row[1]: asked(slurm.show_job(row[0])) for row in table(held)}
    assert found == {rule: expected[rule] for rule in _SENT}
    for rule, words in _REFUSED.items():
        assert f"rule {rule}: {words}" in output
    assert output.count("slurm_account='lab' is ignored") == 1
