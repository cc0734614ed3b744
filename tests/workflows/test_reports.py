"""What a user reads of a run as a whole."""

from __future__ import annotations

import csv
import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.known_load import CPU_SECONDS, MEMORY_MB, known_load

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow

_LOGGER = """
    import json
    from snakemake_interface_logger_plugins.base import LogHandlerBase

    class LogHandler(LogHandlerBase):
        writes_to_stream = writes_to_file = needs_rulegraph = False
        has_filter = has_formatter = True

        def __post_init__(self):
            pass

        def emit(self, record):
            if state := getattr(record, "remote_job_state", None):
                with open("states", "a") as file:
                    print(json.dumps(state), file=file)
"""
"""A logger plugin that keeps what records tell of jobs' states."""

_FLAKY = "echo x >>tries; test $(wc -l <tries) = 2 || exit 1"


def test_run_ends_with_its_figures(workflow: MakeWorkflow) -> None:
    """Jobs, their ends, tries, waits and CPU hours stand in one line; a known load reads so, with what is enough."""
    flow = workflow("""
        rule all:
            input: "flaky", "load", "bad"
        rule flaky:
            output: "flaky"
            retries: 1
            shell: "true"
        rule load:
            output: "load"
            threads: 4
            resources: mem_mb=1000, runtime=10
            shell: "true"
        rule bad:
            output: "bad"
            shell: "true"
    """)
    flow.use_quick_jobs(f"case $output in bad) exit 1 ;; flaky) {_FLAKY} ;; load) {known_load()} ;; esac")
    result = flow.run(
        "--keep-going",
        "--frceapi-efficiency-report",
        "--frceapi-efficiency-report-path",
        "used.csv",
        "--frceapi-timeline",
        "run.html",
    )

    assert result.exit_code == 1
    (line,) = re.findall(r"^\d+ jobs?: .*$", result.output, re.MULTILINE)
    assert line.startswith("3 jobs: 2 succeeded, 1 failed, 1 tried again; in the queue ")
    assert re.search(r"; CPU hours [\de.-]+ asked for, [\de.-]+ used\.$", line)
    assert "--set-threads load=1 --set-resources load:mem_mb=" in result.output
    rows = list(csv.DictReader(flow.lines("used.csv")))
    assert sorted((row["rule"], row["attempt"], row["outcome"]) for row in rows) == [
        ("bad", "1", "failed"),
        ("flaky", "1", "failed"),
        ("flaky", "2", "succeeded"),
        ("load", "1", "succeeded"),
    ]
    load = next(row for row in rows if row["rule"] == "load")
    assert (load["cpus_asked"], load["memory_asked_mb"], load["time_asked_seconds"]) == ("4", "1000", "600")
    assert float(load["memory_used_mb"]) == pytest.approx(MEMORY_MB, rel=0.1)
    assert float(load["cpu_seconds_used"]) == pytest.approx(CPU_SECONDS, rel=0.1)
    assert float(load["time_used_seconds"]) >= 0.9 * CPU_SECONDS
    assert float(load["cpu_efficiency"]) == pytest.approx(CPU_SECONDS / 4 / float(load["time_used_seconds"]), rel=0.1)
    page = flow.read("run.html")
    assert [page.count(f'<g class="{marks}">') for marks in ("failed", "succeeded again", "succeeded")] == [2, 1, 1]
    assert "its log was removed" in page


def test_logger_plugins_see_each_phase_once(workflow: MakeWorkflow) -> None:
    """Submission, start and end of a job stand in records that any logger plugin gets, and no line is there for it."""
    flow = workflow("""
        rule one:
            output: "one"
            retries: 1
            shell: "true"
    """)
    flow.use_quick_jobs(f"until test -e seen; do sleep 0.1; done; {_FLAKY}")
    flow.write("plugins/snakemake_logger_plugin_states/__init__.py", _LOGGER)
    paths = [str(flow.directory / "plugins"), *filter(None, [flow.environment.get("PYTHONPATH")])]
    flow.environment["PYTHONPATH"] = os.pathsep.join(paths)
    running = flow.start("--logger", "states")
    flow.wait_for(lambda: len(flow.lines("states")) == 2, "a job that has started")
    flow.write("seen", "")
    result = running.wait()
    states = [json.loads(line) for line in flow.lines("states")]

    first, second = (str(job.job_id) for job in flow.jobs)
    told = [(state["phase"], state["external_jobid"], state.get("outcome")) for state in states]
    assert told[:3] == [("queued", first, None), ("running", first, None), ("ended", first, "failed")], result.output
    assert (told[3], told[-1]) == (("queued", second, None), ("ended", second, "succeeded"))
    assert {state["jobid"] for state in states} == {0}
    assert states[1]["remote_state"] == "RUNNING"


def test_cancelled_run_leaves_its_timeline(workflow: MakeWorkflow) -> None:
    """Ctrl-C ends the jobs, and the page tells which."""
    flow = workflow("""
        rule a:
            output: "{name}"
            shell: "true"
    """)
    flow.use_quick_jobs("sleep 600")
    running = flow.start("x", "y", "--frceapi-timeline", "run.html")
    flow.wait_for(lambda: len(flow.lines("ledger")) == 2, "two jobs")
    running.interrupt()
    result = running.wait()

    assert "2 jobs: 0 succeeded, 0 failed, 0 tried again, 2 cancelled" in result.output
    assert flow.read("run.html").count('<g class="cancelled">') == 2
