"""Snakemake's own features keep their meaning when jobs run through the API."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow

_PROFILES = Path(__file__).parents[2] / "example_workflow" / "profiles"


def test_second_run_has_nothing_to_do(workflow: MakeWorkflow) -> None:
    """A finished workflow is finished for the next run, and the first has left nothing in its run directory."""
    flow = workflow("""
        rule b:
            input: "a.txt"
            output: "b.txt"
            shell: "cat {input} {input} >{output}"
        rule a:
            output: "a.txt"
            shell: "echo a >{output}"
    """)
    flow.succeed()

    assert flow.read("b.txt") == "a\na\n"
    assert flow.final_states() == ["COMPLETED", "COMPLETED"]
    assert flow.left_in_run_directory() == []
    assert "Nothing to be done" in flow.succeed().output


def test_every_kind_of_output_is_made(workflow: MakeWorkflow) -> None:
    """Scripts, input functions, logs, benchmarks and temporary, protected, touched and directory outputs work."""
    flow = workflow("""
        rule summary:
            input:
                lambda wildcards: [f"{sample}.tmp" for sample in config["samples"].split()],
                "kinds.flag",
            output: "summary.txt"
            params: factor=2
            log: "logs/summary.log"
            script: "summary.py"
        rule count:
            output: temp("{sample}.tmp")
            log: "logs/{sample}.log"
            benchmark: "bench/{sample}.tsv"
            shell: "echo counting {wildcards.sample} >{log}; echo {wildcards.sample}1 >{output}"
        rule kinds:
            shadow: "minimal"
            output: protected("kept.txt"), directory("many"), touch("kinds.flag")
            shell: "echo kept >{output[0]}; mkdir {output[1]}; echo one >{output[1]}/one"
    """)
    flow.write(
        "summary.py",
        """
        from pathlib import Path

        names = [Path(name).read_text().strip() for name in snakemake.input[:2]]
        Path(snakemake.output[0]).write_text(" ".join(names * snakemake.params.factor) + f" {snakemake.rule}")
        Path(snakemake.log[0]).write_text("script")
        """,
    )
    flow.succeed("--config", "samples=A B")

    assert flow.read("summary.txt") == "A1 B1 A1 B1 summary"
    assert flow.files("*.tmp") == []
    assert [flow.read(f"logs/{name}.log").strip() for name in ("A", "summary")] == ["counting A", "script"]
    assert flow.read("bench/A.tsv").startswith("s\t")
    assert not stat.S_IMODE((flow.directory / "kept.txt").stat().st_mode) & 0o222
    assert flow.read("many/one") == "one\n"


def test_checkpoint_decides_about_the_jobs_behind_it(workflow: MakeWorkflow) -> None:
    """What a checkpoint makes is known to the jobs that aggregate it."""
    flow = workflow("""
        from pathlib import Path
        def parts(wildcards):
            made = Path(checkpoints.split.get().output[0])
            return sorted(f"upper/{path.name}" for path in made.glob("[xy]"))
        rule gather:
            input: parts
            output: "gathered.txt"
            shell: "cat {input} >{output}"
        checkpoint split:
            output: directory("parts")
            shell: "mkdir {output}; for i in x y; do echo $i >{output}/$i; done"
        rule upper:
            input: "parts/{name}"
            output: "upper/{name}"
            shell: "tr a-z A-Z <{input} >{output}"
    """)
    flow.succeed()

    assert flow.read("gathered.txt") == "X\nY\n"
    assert flow.final_states() == ["COMPLETED"] * 4


def test_groups_are_one_job_each(workflow: MakeWorkflow) -> None:
    """Rules of one group run in one job, whether the Snakefile or ``--groups`` puts them there."""
    flow = workflow("""
        rule all:
            input: expand("{sample}.b", sample=["s1", "s2"]), expand("{sample}.c", sample=["s1", "s2"])
        rule a:
            output: "{sample}.a"
            group: "ab"
            resources: mem_mb=300
            shell: "echo $SLURM_JOB_ID >{output}"
        rule b:
            input: "{sample}.a"
            output: "{sample}.b"
            group: "ab"
            resources: mem_mb=700
            shell: "cat {input} >{output}; echo $SLURM_JOB_ID >>{output}"
        rule c:
            output: "{sample}.c"
            shell: "echo $SLURM_JOB_ID >{output}"
    """)
    flow.succeed("--groups", "c=cs", "--group-components", "cs=2", "--frceapi-keep-successful-logs")

    assert len(flow.jobs) == 3
    assert all(len(set(flow.lines(f"{sample}.b"))) == 1 for sample in ("s1", "s2"))
    assert flow.read("s1.b") != flow.read("s2.b")
    assert flow.read("s1.c") == flow.read("s2.c")
    assert sorted(job.submission.mem_mb_per_node or 0 for job in flow.jobs) == [0, 700, 700]
    logs = flow.files(".snakemake/frceapi_logs/**/*.log")
    assert [log.split("/")[2] for log in logs] == ["group_ab", "group_ab", "group_cs"]


def test_retries_run_a_payload_once_an_attempt(workflow: MakeWorkflow) -> None:
    """A rule's own retries and ``--retries`` are counted by the main process alone, which asks for more each time."""
    flow = workflow("""
        rule all:
            input: "never", "second", "plain", "other"
        rule never:
            output: "never"
            retries: 2
            shell: "echo run >>never.ledger; exit 1"
        rule second:
            output: "second"
            retries: 3
            resources: mem_mb=lambda wildcards, attempt: 500 * attempt
            shell: "echo {resources.mem_mb} >>second.ledger; test $(wc -l <second.ledger) = 2; touch {output}"
        rule plain:
            output: "plain"
            shell: "echo run >>plain.ledger; test $(wc -l <plain.ledger) = 2; touch {output}"
        rule other:
            input: "plain"
            output: "other"
            shell: "echo run >>other.ledger; touch {output}"
    """)
    result = flow.run("--retries", "1", "--keep-going", "--frceapi-lookahead", "0")

    assert result.exit_code == 1
    runs = {name: len(flow.lines(f"{name}.ledger")) for name in ("never", "second", "plain", "other")}
    assert runs == {"never": 3, "second": 2, "plain": 2, "other": 1}
    assert len(flow.jobs) == sum(runs.values())
    assert flow.lines("second.ledger") == ["500", "1000"]
    assert sorted(job.submission.mem_mb_per_node for job in flow.jobs if job.submission.mem_mb_per_node) == [500, 1000]
    assert [name for name in runs if (flow.directory / name).exists()] == ["second", "plain", "other"]


def test_retries_of_a_group_run_each_member_once_an_attempt(workflow: MakeWorkflow) -> None:
    """A member's own retries start the group again as a whole, and nothing inside the job."""
    flow = workflow("""
        rule second:
            input: "first"
            output: "second"
            group: "both"
            retries: 2
            shell: "echo $SLURM_JOB_ID >>second.ledger; exit 1"
        rule first:
            output: "first"
            group: "both"
            shell: "echo $SLURM_JOB_ID >>first.ledger; touch {output}"
    """)
    result = flow.run()

    assert result.exit_code == 1
    assert len(flow.jobs) == 3
    assert flow.lines("second.ledger") == [str(job.job_id) for job in flow.jobs]
    assert len(set(flow.lines("first.ledger"))) == len(flow.lines("first.ledger"))


def test_resources_reach_the_job(workflow: MakeWorkflow) -> None:
    """Threads, time limit and partition of a rule are those of its job; so are those of a group."""
    flow = workflow("""
        rule all:
            input: "wide", "piped"
        rule wide:
            output: "wide"
            threads: 3
            resources: runtime="90m", mem_mb=1200, slurm_partition="largemem"
            shell: "echo {threads} $SLURM_CPUS_PER_TASK $SLURM_JOB_PARTITION $SLURM_MEM_PER_NODE >{output}"
        rule source:
            output: pipe("between")
            shell: "seq 1000 >{output}"
        rule sink:
            input: "between"
            output: "piped"
            shell: "wc -l <{input} >{output}; echo $SLURM_CPUS_PER_TASK >>{output}"
    """)
    flow.succeed("--default-resources", "runtime=20")

    assert flow.read("wide") == "3 3 largemem 1200\n"
    assert flow.read("piped") == "1000\n2\n"
    assert sorted(job.submission.time_limit_s or 0 for job in flow.jobs) == [20 * 60, 90 * 60]


@pytest.mark.parametrize(("profile", "mem_mb", "minutes"), [("sandbox", 700, 10), ("frce", 1000, 30)])
def test_profiles_of_the_example_fit_any_workflow(
    workflow: MakeWorkflow, profile: str, mem_mb: int, minutes: int
) -> None:
    """The example's profiles are complete: at the URL that they are for, Snakemake needs no other argument."""
    flow = workflow("""
        rule a:
            output: "a.txt"
            shell: "echo a >{output}"
    """)
    flow.defaults = ["--workflow-profile", str(_PROFILES / profile)]
    # The table that applies at FRCE's own URL without being named.
    flow.succeed(*(["--frceapi-partition-config", "frce"] if profile == "frce" else []))

    (job,) = flow.jobs
    assert (job.submission.mem_mb_per_node, job.submission.time_limit_s) == (mem_mb, minutes * 60)


def test_latency_wait_reaches_the_job(workflow: MakeWorkflow) -> None:
    """An output that appears after the command's end is waited for in the job, too."""
    flow = workflow("""
        rule late:
            output: "late.txt"
            shell: "(sleep 2; echo late >{output}) >/dev/null 2>&1 &"
    """)
    flow.succeed("--latency-wait", "60")

    assert flow.read("late.txt") == "late\n"
