"""A workflow is looked at before it runs, with a table of partitions, and what fits nowhere is never submitted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflows.conftest import MakeWorkflow, Workflow

_WORKFLOW = """
    localrules: all
    rule all:
        input: expand("sized{i}.txt", i=range(2)), "second.txt", "counted.txt", "gpu.txt"
    rule large:
        output: "large{i}.txt"
        threads: 9
        resources: mem_mb=lambda wildcards: 100 + int(wildcards.i), runtime=lambda wildcards: 31 * int(wildcards.i) + 10
        shell: "touch {output}"
    rule sized:
        input: "large{i}.txt"
        output: "sized{i}.txt"
        resources: mem_mb=lambda wildcards, input: max(1, input.size_mb), runtime=10
        shell: "touch {output}"
    rule first:
        output: "first.txt"
        group: "pair"
        resources: mem_mb=100, runtime=40
        shell: "touch {output}"
    rule second:
        input: "first.txt"
        output: "second.txt"
        group: "pair"
        resources: mem_mb=100, runtime=40
        shell: "touch {output}"
    rule counted:
        input: "stale.txt"
        output: "counted.txt"
        threads: lambda wildcards, input: len(open(input[0]).read())
        resources: runtime=10
        shell: "touch {output}"
    checkpoint stale:
        output: "stale.txt"
        resources: runtime=10
        shell: "touch {output}"
    rule gpu:
        output: "gpu.txt"
        resources: gpu=1, mem_mb=100, runtime=10
        shell: "touch {output}"
"""
_TABLE = """
    partitions:
      norm: {max_runtime: 1h, max_threads: 8}
      short: {max_runtime: 30m, max_threads: 4}
"""


@pytest.fixture
def flow(workflow: MakeWorkflow) -> Workflow:
    """The workflow with a table of its own, and an old file that a job of it makes anew."""
    made = workflow(_WORKFLOW)
    made.write("table.yaml", _TABLE)
    made.write("stale.txt", "x" * 99)
    at = made.defaults.index("--frceapi-partition")
    made.defaults[at : at + 2] = ["--frceapi-partition-config", "table.yaml", "--forceall"]
    return made


def _check(flow: Workflow, *arguments: str) -> tuple[int, list[str]]:
    """Run ``frceapi check`` with the arguments of a run; return its exit code and the lines that it prints."""
    command: list[str | Path] = [Path(sys.executable).with_name("frceapi"), "check", "--", *flow.defaults, *arguments]
    done = subprocess.run(
        command, cwd=flow.directory, env=flow.environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_check_lists_what_would_be_refused(flow: Workflow) -> None:
    """Each rule and group that fits nowhere is a line, as is what follows from files that are made only later."""
    exit_code, lines = _check(flow)

    refused = [line for line in lines if line.startswith("refused: ")]
    assert [line.partition(": ")[2].partition(":")[0] for line in refused] == ["group pair", "rule gpu", "rule large"]
    assert "80 min, at most 60; short: 80 min, at most 30" in refused[0]
    assert refused[2].endswith("--set-threads large=NUMBER (2 jobs, others likewise)")
    assert [line for line in lines if line.startswith("cannot")] == [
        "cannot be known yet: rule counted: threads, until the input files are there",
        "cannot be known yet: rule sized: mem_mb, until the input files are there (2 jobs)",
    ]
    assert "note: rule stale: no memory is asked for" in "\n".join(lines)
    assert lines[-2:] == [
        "note: jobs that follow from a checkpoint are known only after it has run",
        "Jobs that would be refused: 4 of 8.",
    ]
    assert exit_code == 1
    assert (flow.sandbox.requests, flow.left_in_run_directory(), flow.files("large*")) == ([], [], [])


def test_check_passes_what_would_be_submitted(flow: Workflow) -> None:
    """What the remedies of the messages say is enough."""
    exit_code, lines = _check(flow, "--set-resources", "first:runtime=5", "gpu:gpu=0", "--set-threads", "large=8")

    assert (exit_code, lines[-1]) == (0, "Jobs that would be refused: 0 of 8.")


def test_job_that_fits_nowhere_is_not_submitted(flow: Workflow) -> None:
    """The others run; the message names the rule, the request, each partition with its cap, and what to change."""
    flow.use_quick_jobs()
    result = flow.run("--keep-going", "large0.txt", "stale.txt")

    assert result.exit_code == 1
    (line,) = (line.strip() for line in result.output.splitlines() if "no partition takes" in line)
    assert line == (
        "message: The job was not submitted: rule large: no partition takes 9 CPUs, 100 MB, 10 min "
        "(norm: 9 threads, at most 8; short: 9 threads, at most 4); ask for less with --set-threads large=NUMBER"
    )
    assert [(job.partition.name, job.state.value) for job in flow.jobs] == [("short", "COMPLETED")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frceapi-partition-config", "absent.yaml"], ["--frceapi-partition-config", "'absent.yaml'"]),
        (["--frceapi-wait", "second.txt"], ["--frceapi-wait is for --immediate-submit"]),
        (["--frceapi-max-connections", "0"], ["--frceapi-max-connections is 0"]),
        (["nothing.txt"], ["No rule to produce nothing.txt"]),
        (["--list-rules"], ["these arguments run no job"]),
    ],
)
def test_check_tells_why_it_cannot(flow: Workflow, arguments: list[str], words: list[str]) -> None:
    """What Snakemake or the plugin cannot use is said as in a run."""
    exit_code, lines = _check(flow, *arguments)

    assert exit_code == 1
    assert [word for word in words if not any(word in line for line in lines)] == []
