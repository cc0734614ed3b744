"""All scenarios, in the order in which they are measured."""

from __future__ import annotations

from tests.benchmarks import chain, crowd, ends, fan, imports, interrupt, listing, many, submission
from tests.benchmarks.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    imports.SCENARIO,
    chain.SCENARIO,
    submission.SCENARIO,
    ends.SCENARIO,
    fan.SCENARIO,
    interrupt.SCENARIO,
    listing.SCENARIO,
    many.SCENARIO,
    crowd.SCENARIO,
)
