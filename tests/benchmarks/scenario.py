"""What a benchmark consists of: scenarios, which give figures in rounds, and targets, which compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.stage import Stage

Figures = Mapping[str, float]
"""What one round has given: a value for each quantity, whose name ends with its unit in brackets."""

Measurement = Callable[[Stage], Figures]
"""One round of a scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is promised of a quantity.

    Attributes:
        text: what it is about.
        of: the quantity.
        against: the quantity that it is divided by, None: it is looked at by itself.
        limit: what the ratio, or the quantity, may be at most.
        at_least: whether it must be so much at least instead.
    """

    text: str
    of: str
    against: str | None = None
    limit: float
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something that is measured.

    Attributes:
        name: as on the command line.
        title: what is measured, in a line.
        measure: measures one round.
        rounds: how often, unless the command line says otherwise.
        also: what is measured as well, and how often: what takes long, or differs little from round to round.
        asides: measured once each, beside everything else, because they sleep nearly all of the time.
        targets: what its figures must show.
        is_extra: whether it is measured only if it is asked for by name.
    """

    name: str
    title: str
    measure: Measurement
    rounds: int
    also: Mapping[Measurement, int] = field(default_factory=dict)
    asides: Sequence[Measurement] = ()
    targets: Sequence[Target] = ()
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a target has come to.

    Attributes:
        target: the target.
        value: the ratio, or the quantity; None: it was not measured.
    """

    target: Target
    value: float | None

    @property
    def is_met(self) -> bool:
        """Whether the figures keep the promise; what was not measured keeps none."""
        if self.value is None:
            return False
        return self.value >= self.target.limit if self.target.at_least else self.value <= self.target.limit


Values = dict[str, list[float]]
"""The values of each quantity, one a round."""


def add(values: Values, figures: Figures) -> None:
    """Add the figures of a round."""
    for quantity, value in figures.items():
        values.setdefault(quantity, []).append(value)


def judge(targets: Sequence[Target], values: Values) -> list[Verdict]:
    """Compare the medians with the targets; that of the ratios of each round where both stem from the same rounds."""
    return [Verdict(target, _value(target, values)) for target in targets]


def _value(target: Target, values: Values) -> float | None:
    found, divisors = values.get(target.of), values.get(target.against or "")
    if not found or target.against is None:
        return median(found) if found else None
    if not divisors or 0.0 in divisors:
        return None
    if len(found) == len(divisors):
        return median(value / divisor for value, divisor in zip(found, divisors, strict=True))
    return median(found) / median(divisors)
