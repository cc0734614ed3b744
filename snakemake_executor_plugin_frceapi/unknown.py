"""Submissions of which nobody knows whether the API took them: they are looked for, and sent again with care."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from snakemake_executor_plugin_frceapi.policy import Policy
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission

MOST_LOOKS = 100
"""How many claims are looked for at a time: after hours without answers there can be thousands."""


class UnknownSubmissions:
    """The submissions without an answer.

    Listed jobs are never adopted by their looks: every job of a user has the same name. What counts is the claim, which
    the job itself leaves in the run directory.

    Args:
        spool: the run directory.
        policy: says how long to look for a claim before a submission is sent again.
        clock: returns seconds of a monotonic clock.
    """

    def __init__(self, spool: Spool, policy: Policy, clock: Callable[[], float]) -> None:
        self._spool = spool
        self._policy = policy
        self._clock = clock
        self._items: dict[str, Submission] = {}
        self._next = 0

    @property
    def items(self) -> list[Submission]:
        """All of them, those that are being sent again included."""
        return list(self._items.values())

    def add(self, item: Submission) -> None:
        """Begin to look for the claim of a submission."""
        item.unknown_since = self._clock()
        self._items[item.token] = item

    def remove(self, item: Submission) -> None:
        """Look for it no longer."""
        item.unknown_since = None
        self._items.pop(item.token, None)

    def found(self) -> Iterator[tuple[Submission, str]]:
        """Look once, at a few; yield each that has arrived, with the external jobid of the job that claimed it."""
        items = self.items
        begin = self._next if self._next < len(items) else 0
        self._next = begin + MOST_LOOKS
        for item in items[begin : self._next]:
            if item.unknown_since is not None and (owner := self._spool.claimed_by(item.token)):
                yield item, owner

    def due(self, listed: float) -> Iterator[Submission]:
        """Yield those to send again: a claim had time to appear, there is none, and the API answers.

        Args:
            listed: when the last valid listing came; while there is none, the next post is as lost as the last.
        """
        for item in self.items:
            since = item.unknown_since
            patience = self._policy.patience_seconds(item.posts - item.posts_before)
            if since is None or self._clock() - since < patience or listed <= since:
                continue
            if not self._spool.claimed_by(item.token):
                item.unknown_since = None
                yield item
