"""What the tests of the fault matrix share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi import assembly, outage
from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.errors import ServiceError
from snakemake_executor_plugin_frceapi.retry import wait_seconds
from tests.carrying import carried
from tests.faults.bench import Bench
from tests.faults.stepped import SteppedRun
from tests.workflows.conftest import workflow

__all__ = ["stepped", "workflow"]


@pytest.fixture
def stepped(tmp_path: Path) -> Iterator[Callable[..., SteppedRun]]:
    """A maker of runs whose steps a test makes itself."""
    made: list[SteppedRun] = []

    def make(outage_hours: float = 1e6, *, shared: bool = True) -> SteppedRun:
        made.append(SteppedRun(tmp_path / str(len(made)), outage_hours, shared))
        return made[-1]

    yield make
    for run in made:
        run.journal.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench whose run has not begun; status requests follow each other closely."""
    monkeypatch.setattr(assembly, "SHORTEST_INTERVAL_SECONDS", 0.05)
    made = Bench(tmp_path)
    with ExitStack() as stack:
        stack.enter_context(made.server)
        stack.callback(made.close)
        yield made


@pytest.fixture
def calls_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the calls be made by the test's own process, where it can replace what is below them."""
    monkeypatch.setattr(assembly, "Courier", carried)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the limits of the clients to come, by their names in `ClientConfig`."""
    return lambda **limits: monkeypatch.setattr(assembly, "ClientConfig", partial(ClientConfig, **limits))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ServiceError, float]]:
    """Note how long each call would wait after a fault, and let it wait for a moment only."""
    noted: list[tuple[ServiceError, float]] = []

    def moment(fault: ServiceError, try_number: int, *, jitter: float) -> float:
        noted.append((fault, wait_seconds(fault, try_number, jitter=jitter)))
        return 0.01

    monkeypatch.setattr(outage, "wait_seconds", moment)
    return noted
