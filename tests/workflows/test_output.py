"""What a run prints, in a terminal and in a log, and how much of it under ``--quiet`` and ``--verbose``."""

from __future__ import annotations

import re
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.terminal import in_terminal

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow

PROGRESS = r"^(Submitted job|Job \d+ of map has started)"
NOTICE = r"^rule map: no time limit is asked for"
CALL = r"^frceapi: submit_job, \d+ bytes, [\d.]+ s: job \d+$"
FIGURES = r"^\d+ jobs?: "
ERROR = "Error in rule map:"
OF_SNAKEMAKE = r"$|[ \[]|rule map:|Select jobs to execute|Execute \d+ jobs|Job rate limit reached"


def many(workflow: MakeWorkflow, jobs: int) -> Workflow:
    """A workflow of quick jobs, of which the last fails."""
    flow = workflow(f"""
        rule all:
            input: expand("{{n}}.txt", n=range({jobs}))
        rule map:
            output: "{{n}}.txt"
            resources: mem_mb=40
            shell: "true"
    """)
    flow.use_quick_jobs(f"test $output != {jobs - 1}.txt || exit 1")
    flow.defaults += ["--keep-going", "--jobs", str(jobs)]
    return flow


@pytest.mark.parametrize(
    ("options", "shown", "hidden"),
    [
        (["--quiet", "progress", "host", "reason"], [NOTICE, FIGURES, ERROR], [PROGRESS]),
        (["--quiet", "rules"], [PROGRESS, NOTICE, FIGURES], [ERROR, CALL]),
        (["--quiet", "all"], [], [PROGRESS, NOTICE, FIGURES, ERROR]),
        (["--verbose"], [PROGRESS, NOTICE, FIGURES, ERROR, CALL], []),
    ],
    ids=["progress, host, reason", "rules", "all", "verbose"],
)
def test_obeys_quiet_and_verbose(
    workflow: MakeWorkflow, options: list[str], shown: list[str], hidden: list[str]
) -> None:
    """How far jobs have come is progress; what wants attention and the figures at the end are not.

    Snakemake itself takes errors of jobs for a part of what it tells of rules.
    """
    flow = many(workflow, 2)
    result = flow.run(*options)
    found = [bool(re.search(text, result.output, re.MULTILINE)) for text in (*shown, *hidden)]

    assert result.exit_code == 1
    assert found == [True] * len(shown) + [False] * len(hidden), result.output


@pytest.mark.parametrize("jobs", [20, pytest.param(500, marks=pytest.mark.long)])
def test_repeats_no_line_for_each_job(workflow: MakeWorkflow, jobs: int) -> None:
    """What is true of many jobs is told once; a line of a job names it."""
    result = many(workflow, jobs).run()
    lines = Counter(line for line in result.output.splitlines() if not re.match(OF_SNAKEMAKE, line))

    assert result.output.count("Submitted job") == jobs
    assert {line: count for line, count in lines.items() if count > 1} == {}, result.output


def test_prints_the_same_lines_in_a_terminal(workflow: MakeWorkflow) -> None:
    """No line is drawn over another one, so that what scrolled away can be read."""
    flow = many(workflow, 2)
    command = [sys.executable, "-m", "snakemake", *flow.defaults, "--retries", "1"]
    with in_terminal(command, columns=100, lines=30, cwd=flow.directory, environment=flow.environment) as terminal:
        assert terminal.end() == 1
        seen = "\n".join([*terminal.scrolled, *terminal.screen])

    assert len(re.findall(r"^Submitted job", seen, re.MULTILINE)) == 3
    assert len(re.findall(FIGURES, seen, re.MULTILINE)) == 1
    assert not re.search(rb"\x1b\[[\d;]*[A-HJK]", terminal.raw)
