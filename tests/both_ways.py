"""The same workflow in two places, run without and with look-ahead, and what both have left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests import final_state, sealed
from tests.final_state import FinalState
from tests.patterns import order, sow
from tests.snakemake_process import Result, Running


class Place(final_state.Place, Protocol):
    """Where Snakemake runs.

    Attributes:
        defaults: the arguments that stand before those of each run.
    """

    defaults: list[str]

    def start(self, *arguments: str) -> Running:
        """Start Snakemake."""


class BothWays:
    """Two places with the same workflow.

    Args:
        plain: the place of the runs without look-ahead.
        ahead: the place of the runs with it.
        lay_out: writes the workflow to a directory.
        arguments: further arguments of all runs.
    """

    def __init__(self, plain: Place, ahead: Place, lay_out: Callable[[Path], None], *arguments: str) -> None:
        self.places = (plain, ahead)
        for place in self.places:
            lay_out(place.directory)
            place.defaults += arguments
        plain.defaults += ["--frceapi-lookahead", "0"]
        ahead.defaults += ["--frceapi-lookahead", "20"]

    def order(self, output: str, *words: str) -> None:
        """Give the payload of an output an order."""
        for place in self.places:
            order(place.directory, output, *words)

    def sow(self, word: str) -> None:
        """Write what all patterns are made from anew."""
        for place in self.places:
            sow(place.directory, word)

    def run(self, *arguments: str) -> tuple[FinalState, FinalState]:
        """Run both beside each other, and return what each has left."""
        running = [place.start(*arguments) for place in self.places]
        results = [started.wait() for started in running]
        plain, ahead = (left(*pair) for pair in zip(self.places, results, strict=True))
        return plain, ahead

    def run_alike(self, *arguments: str) -> FinalState:
        """Run both beside each other, see that they leave the same, and return what that is."""
        plain, ahead = self.run(*arguments)
        assert ahead == plain
        return plain


def left(place: Place, result: Result) -> FinalState:
    """Return what a run has left, and see that no payload has begun before its inputs were complete."""
    broken = place.directory / sealed.BROKEN
    assert not broken.exists(), broken.read_text("utf-8") + result.output
    return final_state.final_state(place, result)
