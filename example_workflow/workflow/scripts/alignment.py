"""Genomes aligned to each other, and positions carried from one to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt


def read_alignment(path: str | Path) -> dict[str, npt.NDArray[np.str_]]:
    """Return each genome of an aligned FASTA file as an array of upper-case letters and ``-``."""
    rows: dict[str, list[str]] = {}
    for line in Path(path).read_text().splitlines():
        if line.startswith(">"):
            rows[line[1:].split()[0]] = []
        else:
            rows[next(reversed(rows))].append(line.strip().upper())
    return {name: np.array(list("".join(parts))) for name, parts in rows.items()}


def reference_positions(aligned: dict[str, npt.NDArray[np.str_]], genome: str, reference: str) -> npt.NDArray[np.int64]:
    """Return for each nucleotide of ``genome`` the 1-based position in ``reference``, 0 where that has none."""
    in_reference = aligned[reference] != "-"
    column_to_reference = np.where(in_reference, np.cumsum(in_reference), 0)
    return column_to_reference[aligned[genome] != "-"]
