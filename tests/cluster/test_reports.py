"""What jobs of a real Slurm measure of themselves."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from tests.known_load import CPU_SECONDS, MEMORY_MB, known_load

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_LOAD = """
    rule load:
        output: "load"
        threads: 4
        resources: mem_mb=1000, runtime=10
        shell: "true"
"""


def test_known_load_reads_so(desk: Desk) -> None:
    """CPU time, memory and the node of a job are right within a tenth, without any accounting of Slurm's."""
    desk.use_quick_jobs(known_load())
    desk.write("Snakefile", _LOAD)
    result = desk.run("--frceapi-efficiency-report", "--frceapi-efficiency-report-path", "used.csv")

    assert result.exit_code == 0, result.output
    (row,) = csv.DictReader(desk.read("used.csv").splitlines())
    assert (row["cpus_asked"], row["memory_asked_mb"], row["time_asked_seconds"]) == ("4", "1000", "600")
    assert row["node"] == desk.rig.slurm.show_job(row["external_jobid"])["NodeList"]
    assert float(row["memory_used_mb"]) == pytest.approx(MEMORY_MB, rel=0.1)
    assert float(row["cpu_seconds_used"]) == pytest.approx(CPU_SECONDS, rel=0.1)
    assert float(row["memory_efficiency"]) == pytest.approx(MEMORY_MB / 1000, rel=0.1)
    assert float(row["cpu_efficiency"]) == pytest.approx(CPU_SECONDS / 4 / float(row["time_used_seconds"]), rel=0.1)
    assert float(row["queue_seconds"]) < 60
    assert "--set-threads load=1 --set-resources load:mem_mb=" in result.output
