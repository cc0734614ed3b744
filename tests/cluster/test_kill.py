"""kill -9 of Snakemake with jobs on a real Slurm: the next run adopts them, and nothing runs twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.killing import CHAINS_AND_LOOSE_JOBS, LAST_WAITS, outputs, run_and_kill
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_KILLS, _CONNECTIONS = 10, 2
_SHAPE = (15, 4, 33, 6)
_OWNER, _TWIN = "0:0", "75:0"


@pytest.mark.long
def test_killed_runs_are_resumed(desk: Desk) -> None:
    """Exit code 0 in the end, each payload once, and twins only of what was being submitted at a kill."""
    slurm, expected = desk.rig.slurm, outputs(_SHAPE)
    before = set(slurm.show_jobs())
    desk.write("Snakefile", CHAINS_AND_LOOSE_JOBS.format(shape=_SHAPE))
    desk.use_quick_jobs(LAST_WAITS)
    arguments = ["--jobs", "16", "--frceapi-unknown-grace", "5", "--frceapi-max-connections", str(_CONNECTIONS)]
    arguments += ["--frceapi-lookahead", "0"]  # the next run replaces what went ahead
    result = run_and_kill(
        desk, arguments, _KILLS, lambda: desk.read("ledger").count("\n") / 2 / len(expected), seed=_KILLS
    )

    assert result.exit_code == 0, result.output
    assert_each_once(desk.read("ledger").splitlines(), expected)
    desk.wait_for(lambda: slurm.job_ids() == [], "an empty queue")
    codes = Counter(job["ExitCode"] for number, job in slurm.show_jobs().items() if number not in before)
    assert codes.pop(_OWNER) == len(expected)
    assert codes.pop(_TWIN, 0) <= _KILLS * _CONNECTIONS
    assert not codes
