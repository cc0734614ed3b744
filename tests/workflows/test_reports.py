"""What a user reads of a run as a whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow


def test_run_ends_with_its_figures(workflow: MakeWorkflow) -> None:
    """Jobs, their ends, tries, waits and CPU hours stand in one line."""
    flow = workflow("""
        rule all:
            input: "flaky", "good", "bad"
        rule flaky:
            output: "flaky"
            retries: 1
            shell: "true"
        rule good:
            output: "good"
            shell: "true"
        rule bad:
            output: "bad"
            shell: "true"
    """)
    flow.use_quick_jobs(
        "case $output in bad) exit 1 ;; flaky) echo x >>tries; test $(wc -l <tries) = 2 || exit 1 ;; esac"
    )
    result = flow.run("--keep-going")

    assert result.exit_code == 1, result.output
    (line,) = re.findall(r"^\d+ jobs?: .*$", result.output, re.MULTILINE)
    assert line.startswith("3 jobs: 2 succeeded, 1 failed, 1 tried again; in the queue ")
    assert re.search(r"; CPU hours [\de.-]+ asked for, [\de.-]+ used\.$", line)
