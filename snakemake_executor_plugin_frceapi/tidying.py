"""What is written down and removed as jobs end; for many at once, because each write and each removal takes time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path

from snakemake_executor_plugin_frceapi.journal import Event, Journal
from snakemake_executor_plugin_frceapi.run_directory import Leavings
from snakemake_executor_plugin_frceapi.spool import Spool


class Tidying:
    """Removes what jobs have left, as soon as nobody needs it.

    Args:
        spool: the run directory.
        journal: what is written down of each submission.
        clear_away: removes what many jobs have left, at once.
    """

    def __init__(self, spool: Spool, journal: Journal, clear_away: Callable[[Leavings], None]) -> None:
        self._spool = spool
        self._journal = journal
        self._clear_away = clear_away
        self._readers: Counter[str] = Counter()
        self._posted_again: set[str] = set()
        self._over: set[str] = set()
        self._settled: deque[str] = deque()
        self._files: list[Path] = []
        self._ended: list[str] = []

    def note_ended(self, token: str) -> None:
        """Note that a job has ended well."""
        self._ended.append(token)

    def note_settled(self, token: str) -> None:
        """Note, from any thread, that Snakemake has recorded a job."""
        self._settled.append(token)

    def drop(self, file: Path) -> None:
        """Note a file that nobody needs any more."""
        self._files.append(file)

    def tidy(self) -> None:
        """Write down what was noted, and remove what recorded jobs have left.

        Before they are recorded, a later run would have to find their ends there.
        """
        tokens = [self._settled.popleft() for _ in range(len(self._settled))]
        ended, self._ended = self._ended, []
        files, self._files = self._files, []
        self._journal.note(Event.ENDED, *ended)
        self._journal.note(Event.SETTLED, *tokens)
        directories = [str(self._spool.job_directory(token)) for token in tokens if self._may_go(token)]
        if files or directories:
            self._clear_away(Leavings(tuple(map(str, files)), tuple(directories)))

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
        if self._may_go(token):
            self._spool.remove_job(token)

    def _may_go(self, token: str) -> bool:
        """Whether nobody looks into the run directory of a submission that is over; else it is kept in mind."""
        if token in self._readers or token in self._posted_again:
            self._over.add(token)
            return False
        self._over.discard(token)
        return True
