"""When a run directory can go: its own job is over, and no other job has to look into it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from snakemake_executor_plugin_frceapi.spool import Spool


class Tidying:
    """Removes run directories, as soon as nobody needs them.

    Args:
        spool: the run directory.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._readers: Counter[str] = Counter()
        self._posted_again: set[str] = set()
        self._over: set[str] = set()
        self._settled: deque[str] = deque()

    def note_settled(self, token: str) -> None:
        """Note, from any thread, that Snakemake has recorded a job."""
        self._settled.append(token)

    def remove_settled(self) -> None:
        """Remove what recorded jobs have left; before, a later run would have to find their ends there."""
        while self._settled:
            self.remove(self._settled.popleft())

    def hold(self, tokens: Iterable[str]) -> None:
        """Keep the run directories that the job of one more submission looks into before it begins."""
        self._readers.update(tokens)

    def release(self, tokens: Iterable[str]) -> None:
        """That submission is over: what only its job looked into can go."""
        for token in tokens:
            self._readers[token] -= 1
            if self._readers[token] <= 0:
                del self._readers[token]
                if token in self._over:
                    self.remove(token)

    def keep_for_twins(self, token: str) -> None:
        """Keep the run directory of a submission that was posted again until the run ends.

        A twin that starts late finds the claim there and ends at once; without it, it would look for its run directory
        for a while, and hold what Slurm gave it.
        """
        self._posted_again.add(token)

    def close(self) -> None:
        """The run ends: no twin is waited for any more."""
        kept, self._posted_again = self._posted_again, set()
        for token in kept & self._over:
            self.remove(token)

    def is_held(self, token: str) -> bool:
        """Return whether a job that has not ended yet looks into a run directory before it begins."""
        return token in self._readers

    def remove(self, token: str) -> None:
        """Remove the run directory of a submission whose job has ended by itself, or as soon as nobody needs it."""
        if token in self._readers or token in self._posted_again:
            self._over.add(token)
        else:
            self._over.discard(token)
            self._spool.remove_job(token)
