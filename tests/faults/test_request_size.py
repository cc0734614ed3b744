"""Fault matrix, row 37: no request is too large, and one that would be is never sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig

if TYPE_CHECKING:
    from tests.faults.bench import Bench
    from tests.workflows.conftest import MakeWorkflow

_LIMIT_BYTES = 4000


def test_row_37_large_jobs_fit_into_small_requests(workflow: MakeWorkflow) -> None:
    """The size of a request depends on nothing that a workflow can make large."""
    flow = workflow(
        """
        NAMES = [f"in/{'long_' * 30}{number}.txt" for number in range(500)]
        rule all:
            input: "some.txt", "all.txt"
        rule some:
            input: NAMES[:18]
            output: "some.txt"
            params: text="x" * 5000
            shell: "cat {input} >{output}; cat .snakemake/frceapi/*/jobs/*/job-*some* | wc -c >size.txt # {params.text}"
        rule many:
            input: NAMES
            output: "all.txt"
            shell: "cat {input} >{output}"
        """,
        config=SandboxConfig(cpus=8, mem_mb=64_000, max_post_bytes=3_999),
    )
    for number in range(500):
        flow.write(f"in/{'long_' * 30}{number}.txt", f"{number}\n")
    flow.succeed()

    assert flow.lines("all.txt") == [str(number) for number in range(500)]
    assert flow.lines("some.txt") == [str(number) for number in range(18)]
    assert int(flow.read("size.txt")) > 4096
    assert all(len(job.submission.script) < 2000 for job in flow.jobs)


@pytest.mark.parametrize(
    ("name", "count"),
    [pytest.param("d" * 250, 13, id="letters"), pytest.param("\u00e9" * 120, 13, id="UTF-8")],
)
def test_row_37_long_path_fits_into_a_request(bench: Bench, name: str, count: int) -> None:
    """A request holds the path of its run directory, and there is space for a long one."""
    bench.directory /= "/".join([name] * count)
    bench.start()
    bench.submit("one")
    bench.finish("one")

    assert bench.events == [("submitted", "one"), ("succeeded", "one")]
    assert 3000 < len(bench.api.posted[0]) < _LIMIT_BYTES


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("d" * 250, 15, id="letters"),
        pytest.param("\u00e9" * 125, 15, id="bytes of UTF-8"),
        pytest.param("'" * 200, 3, id="quotes of the shell and of JSON"),
    ],
)
def test_row_37_path_that_does_not_fit_is_refused_before_it_is_sent(bench: Bench, name: str, count: int) -> None:
    """Bytes are counted as they would be sent, and what to do about them is named."""
    bench.directory /= "/".join([name] * count)
    bench.start()
    with pytest.raises(JobError, match=r"the API takes fewer than 4,000: .* are the script-body; .* a shorter path"):
        bench.submit("one")

    assert bench.api.posted == []
    assert not bench.parts.spool.has_jobs()
