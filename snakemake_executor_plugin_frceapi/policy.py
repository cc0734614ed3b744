"""How a run behaves, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.tracker import Graces

MOST_POSTS = 5
"""How often a run posts one submission at most, when it gets no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a run behaves.

    Attributes:
        graces: how long to wait before something missing means something.
        interval_seconds: time between two status requests.
        first_delay_seconds: time before the first one.
        connections: submissions at the same time.
        unknown_seconds: time to look for a trace of a submission without an answer before it is sent for the second
            time.
        outage_seconds: time without an answer after which the run gives up.
        keep_successful_logs: whether logs of jobs that ended well stay.
        follows: whether the API is asked what becomes of jobs that it has taken.
    """

    graces: Graces
    interval_seconds: float
    first_delay_seconds: float
    connections: int
    unknown_seconds: float
    outage_seconds: float
    keep_successful_logs: bool
    follows: bool = True

    def patience_seconds(self, posts: int) -> float:
        """Return how long to look for a trace of a submission before it is posted once more, or given up.

        It doubles each time: a trace appears only when the job starts, and the queue may be long.

        Args:
            posts: how often this run has posted it.
        """
        return self.unknown_seconds * 2.0 ** max(0, posts - 1)
