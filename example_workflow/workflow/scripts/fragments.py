"""The table of sequenced molecules: where each one lies, and which parent's allele it carries at each marker."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Fragment:
    """One molecule, read from both ends.

    ``start`` and ``end`` are 1-based positions in the reference, ``markers`` the positions of the markers that were
    read, and ``alleles`` one letter for each of them: ``D`` for the first parent, ``V`` for the second.
    """

    start: int
    end: int
    markers: tuple[int, ...]
    alleles: str

    def switch(self, min_markers: int) -> tuple[int, int] | None:
        """Return the markers between which the molecule changes parent.

        None if it does not, or does so more than once, or has fewer than ``min_markers`` on either side.
        """
        changes = [i for i in range(1, len(self.alleles)) if self.alleles[i] != self.alleles[i - 1]]
        if len(changes) != 1 or not min_markers <= changes[0] <= len(self.alleles) - min_markers:
            return None
        return self.markers[changes[0] - 1], self.markers[changes[0]]

    def informs(self, position: float, min_markers: int) -> bool:
        """Tell whether the molecule has ``min_markers`` on each side of a position."""
        before = sum(marker <= position for marker in self.markers)
        return min(before, len(self.markers) - before) >= min_markers


def write_fragments(path: str | Path, fragments: Iterable[Fragment]) -> None:
    """Write the molecules sorted, in a gzip file whose bytes depend on nothing else."""
    lines = [f"{f.start}\t{f.end}\t{','.join(map(str, f.markers))}\t{f.alleles}\n" for f in sorted(fragments)]
    text = "start\tend\tmarkers\talleles\n" + "".join(lines)
    Path(path).write_bytes(gzip.compress(text.encode(), mtime=0))


def read_fragments(path: str | Path) -> Iterator[Fragment]:
    """Yield the molecules of a table written by :func:`write_fragments`."""
    with gzip.open(path, "rt") as table:
        next(table)
        for line in table:
            start, end, markers, alleles = line.rstrip("\n").split("\t")
            yield Fragment(int(start), int(end), tuple(int(m) for m in markers.split(",") if m), alleles)
