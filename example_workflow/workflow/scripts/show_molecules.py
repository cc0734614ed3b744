"""Choose molecules that reach across one crossover, evenly from all of them, and list their alleles."""

from pathlib import Path

import pandas as pd
from fragments import Fragment, read_fragments


def category(fragment: Fragment) -> str:
    """Return the kind of molecule: all of one parent, or changing."""
    return "".join(dict.fromkeys(fragment.alleles))


def spread(fragments: list[Fragment], wanted: int) -> list[Fragment]:
    """Return ``wanted`` molecules at even distances in the list, all if there are no more."""
    count = min(wanted, len(fragments))
    return [fragments[(2 * i + 1) * len(fragments) // (2 * count)] for i in range(count)]


def main() -> None:
    """Write one row for each allele of each chosen molecule."""
    crossovers = pd.read_csv(snakemake.input.crossovers, sep="\t", index_col="name")
    position = int(crossovers.loc[snakemake.wildcards.crossover, "position"])
    informative = [
        fragment
        for path in snakemake.input.fragments
        for fragment in read_fragments(path)
        if fragment.informs(position, snakemake.params.min_markers)
    ]
    informative.sort(key=lambda f: (category(f), f))
    chosen = spread(informative, snakemake.params.shown)
    rows = [
        (row, category(f), f.start, f.end, marker, allele)
        for row, f in enumerate(chosen)
        for marker, allele in zip(f.markers, f.alleles, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["molecule", "kind", "start", "end", "position", "allele"])
    table.to_csv(snakemake.output.molecules, sep="\t", index=False)
    kinds = pd.Series([category(f) for f in informative]).value_counts()
    Path(snakemake.log[0]).write_text(
        f"{len(chosen)} of {len(informative)} molecules across {position}\n{kinds.to_string()}\n"
    )


main()
