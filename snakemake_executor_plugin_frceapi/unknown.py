"""Submissions of which nobody knows whether the API took them: they are looked for, and sent again with care.

Without a run directory nothing tells a submission's job from another, and nothing keeps two of them from running. Then
it is never sent again, and a job is only taken for it where there can be no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from snakemake_executor_plugin_frceapi.job import Listing
from snakemake_executor_plugin_frceapi.policy import MOST_POSTS, Policy
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission, Submitter

MOST_LOOKS = 100
"""How many claims are looked for at a time: after hours without answers there can be thousands."""

_MOST_JOBIDS = 20


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

    @property
    def wants_quiet(self) -> bool:
        """Whether nothing else should be sent until more is known of them."""
        return False

    def add(self, item: Submission) -> None:
        """Begin to look for the claim of a submission."""
        item.unknown_since = self._clock()
        self._items[item.token] = item

    def remove(self, item: Submission) -> None:
        """Look for it no longer."""
        item.unknown_since = None
        self._items.pop(item.token, None)

    def note_taken(self, external_jobid: str) -> None:
        """Note that a job is that of a submission of this run."""

    def note_listing(self, listing: Listing) -> None:
        """Note a listing; it does not tell which submission a job is of."""

    def may_send_again(self, item: Submission) -> bool:
        """Return whether a submission that is due may be sent again; otherwise it is given up."""
        return item.posts - item.posts_before < MOST_POSTS

    def why_given_up(self, item: Submission) -> str:
        """Return what a user reads when a submission is given up."""
        return f"it was posted {item.posts} times and has left no trace"

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


class UntraceableSubmissions(UnknownSubmissions):
    """The submissions without an answer of a run whose jobs leave no trace here.

    While there are any, nothing else is sent. When a job of each had time to be listed, all of them are decided on at
    once: if there is one only, and one new job only, it is that job's.

    Args:
        spool: the run directory, which no job sees.
        policy: says how long to look for a job.
        clock: returns seconds of a monotonic clock.
        submitter: sends submissions.
    """

    def __init__(self, spool: Spool, policy: Policy, clock: Callable[[], float], submitter: Submitter) -> None:
        super().__init__(spool, policy, clock)
        self._submitter = submitter
        self._listing = Listing({})
        self._listed = -inf
        self._taken: set[str] = set()
        self._doubtful: tuple[str, ...] = ()

    @property
    def wants_quiet(self) -> bool:
        """Whether nothing else should be sent until more is known of them."""
        return bool(self._items)

    def note_taken(self, external_jobid: str) -> None:
        """Note that a job is that of a submission of this run."""
        self._taken.add(external_jobid)

    def note_listing(self, listing: Listing) -> None:
        """Note a listing of all jobs."""
        self._listing, self._listed = listing, self._clock()

    def may_send_again(self, item: Submission) -> bool:  # noqa: ARG002 - it says the same of all
        """Return whether a submission that is due may be sent again: it may run twice then."""
        return False

    def why_given_up(self, item: Submission) -> str:
        """Return what a user reads when a submission is given up."""
        shown = ", ".join(self._doubtful[-_MOST_JOBIDS:])
        new = f"{len(self._doubtful)}, the last {shown}" if shown else "none"
        return (
            "the API did not answer, and without a shared file system the job cannot be told from others. New jobs in "
            f"the listing: {new}; if one of them is that of rule {item.rule}, it goes on: end it with scancel on the "
            "cluster, or wait for its outputs in the storage, before the job is submitted anew"
        )

    def found(self) -> Iterator[tuple[Submission, str]]:
        """Yield the only submission, if it may be decided on, with the only job that can be its."""
        if self._are_due():
            self._doubtful = self._new_jobids()
            (item, *others) = self.items
            if not (others or item.inherited) and len(self._doubtful) == 1:
                yield item, self._doubtful[0]

    def due(self, listed: float) -> Iterator[Submission]:  # noqa: ARG002 - that of the listing is noted with it
        """Yield all submissions when they are to be given up; none of the new jobs is taken for a later one."""
        if self._are_due():
            self._taken.update(self._doubtful)
            yield from self.items

    def _are_due(self) -> bool:
        """Whether a job of each has had time to be listed, and each new job that is another's is known."""
        begins = [item.unknown_since for item in self.items if item.unknown_since is not None]
        latest = max(begins, default=inf) + self._policy.unknown_seconds
        return self._listed >= latest and not self._submitter.is_sending

    def _new_jobids(self) -> tuple[str, ...]:
        before = min(item.largest_before for item in self.items)
        new = (jobid for jobid in self._listing.jobs if int(jobid) > before and jobid not in self._taken)
        return tuple(sorted(new, key=int))


def unknown_submissions(
    spool: Spool, policy: Policy, clock: Callable[[], float], submitter: Submitter
) -> UnknownSubmissions:
    """Return what looks after the submissions without an answer of a run whose run directories are in `spool`."""
    if spool.is_shared:
        return UnknownSubmissions(spool, policy, clock)
    return UntraceableSubmissions(spool, policy, clock, submitter)
