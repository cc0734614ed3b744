"""List the positions at which the two parents differ and that tell where a molecule comes from.

Not every difference does: a later mutation can give a genome the other parent's nucleotide. Such positions stand
alone, while a piece that was taken over brings all its differences. So a difference is a marker only if each
recombinant agrees there with its neighbourhood.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from alignment import read_alignment


def differences(aligned: dict[str, npt.NDArray[np.str_]], parents: list[str], reference: str) -> pd.DataFrame:
    """Return the position of each difference in the reference, and every genome's nucleotide there."""
    first, second = (aligned[parent] for parent in parents)
    position = np.cumsum(aligned[reference] != "-")
    differ = (first != second) & np.isin(first, list("ACGT")) & np.isin(second, list("ACGT"))
    return pd.DataFrame({"position": position[differ]} | {name: row[differ] for name, row in aligned.items()})


def agrees_with_neighbours(carries: pd.Series, neighbours: int) -> pd.Series:
    """Tell for each marker whether most markers before it, or most after it, come from the same parent.

    One side is enough, so that the markers next to a crossover are kept.
    """
    sign = carries.map({True: 1, False: -1})
    before = sign.rolling(neighbours, min_periods=1).sum().shift(1)
    after = sign[::-1].rolling(neighbours, min_periods=1).sum().shift(1)[::-1]
    return (before * sign > 0) | (after * sign > 0)


def main() -> None:
    """Write the table of markers."""
    params = snakemake.params
    aligned = read_alignment(snakemake.input.alignment)
    found = differences(aligned, params.parents, params.reference)
    recombinants = [name for name in aligned if name not in params.parents]
    kept = pd.Series(data=True, index=found.index)
    for name in recombinants:
        kept &= agrees_with_neighbours(found[name] == found[params.parents[1]], params.neighbours)
    found[kept].to_csv(snakemake.output.markers, sep="\t", index=False)
    Path(snakemake.log[0]).write_text(f"{len(found)} differences, {kept.sum()} markers\n")


main()
