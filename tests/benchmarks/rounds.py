"""Measures scenarios in rounds, one after another; what sleeps nearly all of the time beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from tests.benchmarks.scenario import Figures, Measurement, Scenario, Values, add
from tests.benchmarks.stage import Stage

_LAST_LINES = 15


class Rounds:
    """What the rounds have given so far.

    Attributes:
        values: the values of each quantity, by scenario.
        failures: what went wrong; the rest is measured all the same.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.values: dict[str, Values] = {}
        self.failures: list[str] = []
        self._say = say

    def measure(self, scenarios: Sequence[Scenario], rounds: int | None) -> None:
        """Measure scenarios.

        Args:
            scenarios: what to measure.
            rounds: how often, None: as often as each scenario wants.
        """
        self.values |= {scenario.name: {} for scenario in scenarios}
        asides = [(scenario.name, aside) for scenario in scenarios for aside in scenario.asides]
        with ThreadPoolExecutor(max(1, len(asides))) as pool:
            waiting: list[tuple[str, Future[Figures]]] = [
                (name, pool.submit(_on_a_stage_of_its_own, aside)) for name, aside in asides
            ]
            for scenario in scenarios:
                for measurement, usual in {scenario.measure: scenario.rounds, **scenario.also}.items():
                    for _ in range(rounds or usual):
                        # A cluster of its own: Slurm slows down with each job that it has had in five minutes.
                        self._note(scenario.name, partial(_on_a_stage_of_its_own, measurement))
            for name, future in waiting:
                self._note(name, future.result)

    def _note(self, name: str, give: Callable[[], Figures]) -> None:
        begun = time.monotonic()
        try:
            add(self.values[name], give())
        except Exception as error:  # noqa: BLE001 - the others are measured all the same
            last = "\n".join(str(error).splitlines()[-_LAST_LINES:])
            self.failures.append(f"{name}: {type(error).__name__}: {last}")
        self._say(f"{name}: {time.monotonic() - begun:.0f} s")


def _on_a_stage_of_its_own(measurement: Measurement) -> Figures:
    with Stage() as stage:
        return measurement(stage)
