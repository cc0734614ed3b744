"""Snakemake's own features keep their meaning when jobs run through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow


def test_second_run_has_nothing_to_do(workflow: MakeWorkflow) -> None:
    """A finished workflow is finished for the next run, and the first has left nothing in its run directory."""
    flow = workflow("""
        rule all:
            input: "b.txt"
            localrule: True
        rule a:
            output: "a.txt"
            shell: "echo a >{output}"
        rule b:
            input: "a.txt"
            output: "b.txt"
            shell: "cat {input} {input} >{output}"
    """)
    flow.succeed()

    assert flow.read("b.txt") == "a\na\n"
    assert flow.states == ["COMPLETED", "COMPLETED"]
    assert flow.files(".snakemake/frceapi/**/*") == []
    assert "Nothing to be done" in flow.succeed().output
