"""What the tests of the fault matrix share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.stepped import SteppedRun
from tests.workflows.conftest import workflow

__all__ = ["stepped", "workflow"]


@pytest.fixture
def stepped(tmp_path: Path) -> Iterator[Callable[..., SteppedRun]]:
    """A maker of runs whose steps a test makes itself."""
    made: list[SteppedRun] = []

    def make(outage_hours: float = 1e6) -> SteppedRun:
        made.append(SteppedRun(tmp_path / str(len(made)), outage_hours))
        return made[-1]

    yield make
    for run in made:
        run.journal.close()
