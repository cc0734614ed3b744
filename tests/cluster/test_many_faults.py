"""Many jobs through a service most of whose answers are wrong, on a real Slurm: each payload runs once."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.faults import Faults
from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway
from tests.bad_service import arm
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_MANY = """
    rule all:
        input: expand("out/{{number}}", number=range({count}))
        localrule: True
    rule one:
        output: "out/{{number}}"
        shell: "exit 99"
"""
_LONGEST_SECONDS = 600.0
"""Submissions are sent ever slower while answers are lost in a row, which can take minutes."""

_OWNER, _TWIN = "0:0", "75:0"
_LATE_TWIN = "66:0"
"""Slurm may start one when the run is over, and its run directory removed."""


@pytest.fixture
def faults(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Faults of a gateway of the test's own, and of an Apache before it, to which the desk's runs go."""
    place = Path(tempfile.mkdtemp(dir=desk.rig.directory))
    for name, value in desk.rig.slurm.environment.items():
        monkeypatch.setenv(name, value)
    gateway = SlurmGateway(SandboxConfig(directory=place), desk.principal)
    gateway.start()
    web = desk.rig.start_web(f"{place.name}-web", gateway.url)
    desk.environment["SNAKEMAKE_FRCEAPI_URL"] = web.url
    yield gateway.faults
    web.stop()
    gateway.stop()


@pytest.fixture
def held(desk: Desk) -> Iterator[None]:
    """Let Slurm start no job until the test says so."""
    desk.rig.slurm.hold()
    yield
    desk.rig.slurm.release()


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.long)])
def test_each_payload_runs_once_whatever_happens_to_requests(desk: Desk, faults: Faults, count: int) -> None:
    """Exit code 0, one run of each payload, twins that end at once, and an empty queue."""
    slurm = desk.rig.slurm
    before = set(slurm.show_jobs())
    desk.write("Snakefile", _MANY.format(count=count))
    desk.use_quick_jobs()
    arm(faults)
    running = desk.start("--jobs", str(count), "--frceapi-unknown-grace", "5")
    desk.wait_for(
        lambda: running.process.poll() is not None or len(slurm.job_ids()) >= count * 1.1, "twins", _LONGEST_SECONDS
    )
    slurm.release()
    result = running.wait(_LONGEST_SECONDS)
    desk.wait_for(lambda: slurm.job_ids() == [], "an empty queue")

    assert result.exit_code == 0, result.output
    assert_each_once(desk.read("ledger").splitlines(), [f"out/{number}" for number in range(count)])
    codes = Counter(job["ExitCode"] for number, job in slurm.show_jobs().items() if number not in before)
    assert "Error in rule" not in result.output
    assert codes.pop(_OWNER) == count
    assert codes
    assert set(codes) <= {_TWIN, _LATE_TWIN}
