"""The shared file system: what jobs write is on the server at once, and reaches the submitting machine's view later.

A directory's attributes are cached for a while (nfs(5), ``acdirmax``), so a name that a job has made can stay invisible
elsewhere. What the submitting machine writes is seen by the nodes at once, because they open it anew at each look.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_frceapi.markers import parse_end
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tracker import End
from tests.run_directories import order_in


@dataclass(frozen=True, slots=True)
class _Coming:
    """A file on the server that the submitting machine does not see yet.

    Attributes:
        at: when it will.
        source: the file on the server.
        target: the file in its view.
        whole: whether all of its content is seen then.
    """

    at: float
    source: Path
    target: Path
    whole: bool


class Share:
    """Run directories as the nodes see them, and as the submitting machine does.

    Attributes:
        spool: the submitting machine's view.
        delay_seconds: how long a new name stays invisible there.
        tears: whether only the first half of a new file is seen at first.

    Args:
        top: an empty directory.
        clock: returns the simulated time in seconds.
    """

    def __init__(self, top: Path, clock: Callable[[], float]) -> None:
        self.spool = Spool(top / "view")
        self.delay_seconds = 0.0
        self.tears = False
        self._server = top / "server"
        self._server.mkdir()
        self._clock = clock
        self._coming: list[_Coming] = []

    def has_job(self, token: str) -> bool:
        """Return whether a node finds what the run script must know."""
        return (self.spool.job_directory(token) / "control").exists()

    def is_cancel_ordered(self, token: str) -> bool:
        """Return whether a node reads the order to cancel, or finds the run directory gone."""
        directory = self.spool.job_directory(token)
        try:
            return order_in(directory / "control") == "cancel"
        except OSError:
            return not directory.exists()

    def claim(self, token: str, jobid: str) -> str:
        """Claim a submission for a job as the run script does, and return whose it is."""
        directory = self._directory(token)
        if directory is None:
            return ""
        mine = directory / f".claim.{jobid}"
        mine.write_text(f"{jobid}\n")
        try:
            os.link(mine, directory / "claim")
            self._publish(directory / "claim", self.spool.job_directory(token) / "claim")
        except FileExistsError:
            pass
        mine.unlink()
        return self.owner(token)

    def owner(self, token: str) -> str:
        """Return which job has claimed a submission, empty if none has."""
        claim = self._server / token / "claim"
        return claim.read_text().strip() if claim.exists() else ""

    def record(self, token: str, name: str, text: str) -> bool:
        """Write a marker, under another name first; return whether the run directory is there."""
        directory = self._directory(token)
        if directory is None:
            return False
        part = directory / f".{name}"
        part.write_text(text)
        part.rename(directory / name)
        self._publish(directory / name, self.spool.job_directory(token) / name)
        return True

    def link_done(self, token: str, name: str) -> None:
        """Show an end in the listing of ends."""
        end = self._server / token / name
        if end.exists():
            self._publish(end, self.spool.done_entry(token))

    def ends(self, token: str) -> list[End]:
        """Return the ends that stand on the server."""
        found = [parse_end(path.read_text()) for path in sorted((self._server / token).glob("end.*"))]
        return [end for end in found if end]

    def stray(self, token: str) -> None:
        """Leave the end of another job where the submitting machine sees whose it should be."""
        if self.spool.claimed_by(token):
            text = "id=17 restart=9 exit=0 cause=own start=1 end=2 cpu_ticks=0\n"
            self.spool.done_entry(token).write_text(text)
            (self.spool.job_directory(token) / "end.17.9").write_text(text)

    def reveal(self, *, everything: bool = False) -> None:
        """Let the submitting machine see what its cache does not hide any more."""
        due = [item for item in self._coming if everything or item.at <= self._clock()]
        self._coming = [item for item in self._coming if item not in due]
        for item in due:
            _show(item)

    def _directory(self, token: str) -> Path | None:
        """Return a run directory on the server; what the submitting machine has removed is gone there too."""
        directory = self._server / token
        if not self.spool.job_directory(token).exists():
            shutil.rmtree(directory, ignore_errors=True)
            return None
        directory.mkdir(exist_ok=True)
        return directory

    def _publish(self, source: Path, target: Path) -> None:
        at = self._clock() + self.delay_seconds
        if self.tears:
            self._coming.append(_Coming(at, source, target, whole=False))
            at += self.delay_seconds
        self._coming.append(_Coming(at, source, target, whole=True))
        self.reveal()


def _show(item: _Coming) -> None:
    """Make a file appear, whole or in part, under its name at once."""
    if not (item.source.exists() and item.target.parent.exists()):
        return
    part = item.target.with_name(f".{item.target.name}.part")
    text = item.source.read_text()
    part.write_text(text if item.whole else text[: len(text) // 2])
    part.rename(item.target)
