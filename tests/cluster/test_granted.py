"""What Slurm gave a job against what was asked for it, as real jobs record it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway
    from tests.cluster.desk import Desk

_ALL_KEYS = """
    rule all:
        input: "memory_of_node.txt", "memory_of_cpus.txt", "one_a_core.txt"
        localrule: True

    rule memory_of_node:
        output: "memory_of_node.txt"
        threads: 4
        resources: runtime=45, mem_mb=1234
        shell: "touch {output}"

    rule memory_of_cpus:
        output: "memory_of_cpus.txt"
        resources: runtime=1500, mem_mb_per_cpu=77, tasks=4, tasks_per_node=4, ntasks_per_core=2, cpus_per_task=3
        shell: "touch {output}"

    rule one_a_core:
        output: "one_a_core.txt"
        resources: runtime=20, mem_mb_per_cpu=333, tasks=2, ntasks_per_core=1, dependency="afterok:EARLIER"
        shell: "touch {output}"
"""
"""All ten keys of a request: the partition and the script are always there."""

_ONE_RULE = """
    rule one:
        output: "one.txt"
        threads: 2
        resources: runtime=25, mem_mb=300, dependency="afterok:EARLIER"
        shell: "touch {output}"
"""

_LARGE_MEMORY = """
    rule one:
        output: "one.txt"
        threads: 2
        resources: mem_mb_per_cpu=600
        shell: "echo $SLURM_CPUS_PER_TASK $SLURM_MEM_PER_CPU >{output}"
"""


def finished_job(desk: Desk) -> str:
    """Return the id of a job that has ended well."""
    job = desk.rig.slurm.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=true").strip()
    desk.wait_for(lambda: desk.rig.slurm.show_job(job)["JobState"] == "COMPLETED", "the end of a job")
    return job


def lines_about_grants(output: str) -> list[str]:
    """Return the lines that say that a job got something else than was asked."""
    return [line for line in output.splitlines() if " asked for " in line]


@pytest.mark.parametrize(
    "options", [(), ("--frceapi-number-format", "string"), ("--frceapi-memory-unit", "M")], ids=str
)
def test_says_nothing_where_all_keys_are_given(desk: Desk, options: tuple[str, ...]) -> None:
    """No key gives a false alarm, in no encoding, on a node that has fewer CPUs than Slurm was told."""
    desk.write("Snakefile", _ALL_KEYS.replace("EARLIER", finished_job(desk)))
    result = desk.run(*options)

    assert result.exit_code == 0, result.output
    assert lines_about_grants(result.output) == []


def test_says_nothing_where_memory_comes_with_more_cpus(desk: Desk) -> None:
    """A site's limit on the memory per CPU gives a job more CPUs, and as much memory as it asked for."""
    desk.rig.slurm.run("scontrol", "update", "PartitionName=gpu", "MaxMemPerCPU=300")
    desk.write("Snakefile", _LARGE_MEMORY)
    result = desk.run("--frceapi-partition", "gpu")
    desk.rig.slurm.run("scontrol", "update", "PartitionName=gpu", "MaxMemPerCPU=0")

    assert result.exit_code == 0, result.output
    assert desk.read("one.txt").split() == ["4", "300"]
    assert lines_about_grants(result.output) == []


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("cpus-per-task", "cpus-per-task=2 and got none; try --frceapi-number-format string"),
        ("mem-per-node", "mem-per-node=300 and got none; try --frceapi-memory-unit M"),
        ("timelimit", "a time limit of 25 min and got 5-00:00:00"),
        ("dependency", "and got none: it may have started too early"),
    ],
)
def test_names_a_key_that_the_service_ignores(desk: Desk, forgetful: SlurmGateway, key: str, words: str) -> None:
    """The job goes on, and one line names the key, what Slurm gave and the setting to change."""
    forgetful.faults.ignore_key(key)
    desk.write("Snakefile", _ONE_RULE.replace("EARLIER", finished_job(desk)))
    result = desk.run()

    assert result.exit_code == 0, result.output
    (line,) = lines_about_grants(result.output)
    assert words in line
