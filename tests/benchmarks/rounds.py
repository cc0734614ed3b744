"""Measures scenarios in rounds, one after another; what sleeps nearly all of the time beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tests.benchmarks.scenario import Figures, Measurement, Scenario, Values, add
from tests.benchmarks.stage import Stage


def measure_all(scenarios: Sequence[Scenario], rounds: int | None, say: Callable[[str], None]) -> dict[str, Values]:
    """Return the values of each scenario's quantities.

    Args:
        scenarios: what to measure.
        rounds: how often, None: as often as each scenario wants.
        say: tells how far it is.
    """
    found: dict[str, Values] = {scenario.name: {} for scenario in scenarios}
    asides = [(scenario, aside) for scenario in scenarios for aside in scenario.asides]
    with ThreadPoolExecutor(max(1, len(asides))) as pool:
        waiting: list[tuple[str, Future[Figures]]] = [
            (scenario.name, pool.submit(_on_a_stage_of_its_own, aside)) for scenario, aside in asides
        ]
        for scenario in scenarios:
            _measure(scenario, rounds or scenario.rounds, found[scenario.name], say)
        for name, future in waiting:
            say(f"waiting for what is measured beside {name}")
            add(found[name], future.result())
    return found


def _measure(scenario: Scenario, rounds: int, values: Values, say: Callable[[str], None]) -> None:
    with Stage() as stage:
        for number in range(rounds):
            begun = time.monotonic()
            add(values, scenario.measure(stage))
            say(f"{scenario.name}: round {number + 1} of {rounds} took {time.monotonic() - begun:.0f} s")


def _on_a_stage_of_its_own(measurement: Measurement) -> Figures:
    with Stage() as stage:
        return measurement(stage)
