"""What stands against submitting all jobs at once, and which jobs wait for which, over real workflows."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_frceapi import immediate
from snakemake_executor_plugin_frceapi.errors import SettingsError
from tests.workflow_jobs import workflow_of

CHAIN = """
    rule all:
        input: "c", "d"
        localrule: True
    rule a:
        output: "a"
        shell: ":"
    rule b:
        input: "a", "old"
        output: "b", directory("more")
        group: "g"
        shell: ":"
    rule c:
        input: "b"
        output: "c"
        group: "g"
        shell: ":"
    rule d:
        input: "a", "b", "more"
        output: "d"
        shell: ":"
"""


def write(directory: Path, snakefile: str) -> None:
    """Write a workflow and the one input that is there from the beginning."""
    (directory / "Snakefile").write_text(textwrap.dedent(snakefile))
    (directory / "old").touch()


def by_rule(workflow: Any) -> dict[str, Any]:
    """Return the jobs, and the group as ``g``."""
    jobs = {job.rule.name: job for job in workflow.dag.jobs}
    return {**jobs, "g": workflow.dag.get_job_group(jobs["b"])}


@pytest.mark.parametrize(
    ("name", "upstream", "awaited"),
    [
        ("a", [], ()),
        ("b", ["a"], ("a",)),
        ("g", ["a"], ("a",)),
        ("d", ["a", "b"], ("a", "b", "more")),
    ],
)
def test_finds_what_a_job_waits_for(tmp_path: Path, name: str, upstream: list[str], awaited: tuple[str, ...]) -> None:
    """The jobs before it that have to run, those of its own group left out, and all that they make."""
    write(tmp_path, CHAIN)
    with workflow_of(tmp_path) as workflow:
        job = by_rule(workflow)[name]
        assert sorted(other.rule.name for other in immediate.upstream(workflow.dag, job)) == upstream
        assert immediate.awaited(workflow.dag, job) == awaited


def test_waits_for_nothing_that_is_there(tmp_path: Path) -> None:
    """A job that need not run is none that others wait for."""
    write(tmp_path, CHAIN)
    (tmp_path / "a").touch()
    with workflow_of(tmp_path) as workflow:
        assert immediate.upstream(workflow.dag, by_rule(workflow)["b"]) == []
        assert immediate.awaited(workflow.dag, by_rule(workflow)["b"]) == ()


def test_refuses_nothing_that_can_be_done(tmp_path: Path) -> None:
    """Groups, flags and a local rule for which nobody waits are no obstacles."""
    write(tmp_path, CHAIN.replace('output: "d"', 'output: ensure(protected("d"), non_empty=True)'))
    with workflow_of(tmp_path) as workflow:
        immediate.check(workflow)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (
            "rule a:",
            "rule a:\n        localrule: True",
            "rule a does not allow it: its jobs run on this machine (localrules), and others need their outputs; take",
        ),
        ('output: "a"', 'output: update("a")', "rule a does not allow it: it updates files that others read"),
        (
            'output: "c"',
            'output: "c"\n        resources: mem_mb=lambda wildcards, input: input.size_mb',
            "rule c does not allow it: its resources follow from inputs that are still to be made; give them numbers,",
        ),
        (
            'output: "d"',
            'output: "d"\n        threads: lambda wildcards, input: len(input[0])',
            "rule d does not allow it: its resources follow from inputs that are still to be made",
        ),
        (
            'output: "d"',
            'output: "d"\n        resources: frceapi_lookahead=0',
            "rule d does not allow it: its resource frceapi_lookahead=0 says",
        ),
    ],
    ids=["local", "update", "memory", "threads", "opt-out"],
)
def test_refuses_what_cannot_be_done(tmp_path: Path, before: str, after: str, reason: str) -> None:
    """One line names the rules, what stands against it, and the remedy."""
    write(tmp_path, CHAIN.replace(before, after))
    with workflow_of(tmp_path) as workflow, pytest.raises(SettingsError) as refused:
        immediate.check(workflow)

    assert str(refused.value).startswith(f"--immediate-submit: {reason}")
    assert "\n" not in str(refused.value)


def test_allows_resources_that_follow_from_what_is_there(tmp_path: Path) -> None:
    """A job that waits for nobody has its inputs, and so its resources."""
    text = 'output: "a"\n        input: "old"\n        resources: mem_mb=lambda wildcards, input: 100 + input.size'
    write(tmp_path, CHAIN.replace('output: "a"', text))
    with workflow_of(tmp_path) as workflow:
        immediate.check(workflow)


def test_refuses_a_limited_resource(tmp_path: Path) -> None:
    """Snakemake keeps a limit as jobs end, and here no end is seen."""
    write(tmp_path, CHAIN.replace('output: "a"', 'output: "a"\n        resources: licence=1'))
    with workflow_of(tmp_path) as workflow:
        workflow.global_resources["licence"] = 2
        with pytest.raises(SettingsError, match="rule a does not allow it: it uses a resource that --resources limits"):
            immediate.check(workflow)


def test_refuses_to_wait_for_more_jobs_than_a_request_holds(tmp_path: Path) -> None:
    """A request has 4 KB, and each number up to ten digits."""
    write(
        tmp_path,
        """
        rule gather:
            input: expand("{n}", n=range(301))
            output: "all"
            shell: ":"
        rule one:
            output: "{n,[0-9]+}"
            shell: ":"
        """,
    )
    with workflow_of(tmp_path) as workflow, pytest.raises(SettingsError, match=r"rule gather .* more than 300 jobs"):
        immediate.check(workflow)
