"""One step of an examination, with a time limit of its own, and what it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from snakemake_executor_plugin_frceapi.auth.library import Watchdog
from snakemake_executor_plugin_frceapi.errors import FrceapiError


@unique
class Outcome(StrEnum):
    """How a step went."""

    OK = "ok"
    NOTE = "note"
    """It went well, but somebody should know about it."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It was not tried, because a step before it failed or because it is not needed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step saw.

    Attributes:
        text: one line.
        facts: the same as values, for programs.
        outcome: how it went.
    """

    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    outcome: Outcome = Outcome.OK


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a step.

    Attributes:
        step: name of the step.
        outcome: how it went.
        text: one line; of a failure with the cause and the remedy.
        facts: the same as values, for programs.
        seconds: how long it took.
    """

    step: str
    outcome: Outcome
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0


def find(step: str, look: Callable[[], Seen], limit_seconds: float, silent: str) -> Finding:
    """Do a step.

    Args:
        step: its name.
        look: does it.
        limit_seconds: how long it is waited for.
        silent: a clause that says who has not answered when the time is up.
    """
    begin = time.monotonic()
    try:
        seen = Watchdog(limit_seconds, silent).run(look)
    except FrceapiError as error:
        seen = Seen(str(error), outcome=Outcome.FAILED)
    return Finding(step, seen.outcome, seen.text, seen.facts, round(time.monotonic() - begin, 3))
