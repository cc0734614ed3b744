"""The test cluster, started once for all tests, and a desk at it for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.desk import Desk
from tests.cluster.rig import Rig, running_rig
from tests.cluster.system import why_not


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """The running test cluster."""
    reason = why_not()
    if reason is not None:
        pytest.skip(f"the test cluster cannot run: {reason}")
    with running_rig() as running:
        yield running


@pytest.fixture
def desk(rig: Rig, tmp_path: Path) -> Iterator[Desk]:
    """A desk with a ticket; its runs and jobs end with the test."""
    made = Desk(tmp_path, rig)
    made.kinit()
    yield made
    made.end_runs()
    rig.slurm.cancel_all()
