"""Find the places where single molecules change from one parent to the other."""

from pathlib import Path

import pandas as pd
from fragments import Fragment, read_fragments

COLUMNS = ["name", "change", "position", "left", "right", "molecules", "informative"]


def switches(fragments: list[Fragment], min_markers: int) -> pd.DataFrame:
    """Return one row for each molecule that changes parent: the kind of change and the markers around it."""
    rows = []
    for fragment in fragments:
        if between := fragment.switch(min_markers):
            change = f"{fragment.alleles[0]}{fragment.alleles[-1]}"
            rows.append((change, *between, sum(between) // 2))
    return pd.DataFrame(rows, columns=["change", "left", "right", "position"]).sort_values(["change", "position"])


def clusters(found: pd.DataFrame, reach: int, min_molecules: int) -> list[pd.DataFrame]:
    """Return the runs of changes of one kind without a gap above ``reach`` nucleotides, if large enough."""
    runs = []
    for _, of_kind in found.groupby("change"):
        run_number = (of_kind["position"].diff() > reach).cumsum()
        runs += [run for _, run in of_kind.groupby(run_number) if len(run) >= min_molecules]
    return sorted(runs, key=lambda run: run["position"].median())


def describe(run: pd.DataFrame, fragments: list[Fragment], min_markers: int) -> dict[str, str | int]:
    """Return the row of the table for one crossover, placed between the markers that most molecules agree on."""
    (left, right), _ = max(run.groupby(["left", "right"]), key=lambda group: len(group[1]))
    change = run["change"].iloc[0]
    position = (left + right) // 2
    across = [fragment for fragment in fragments if fragment.informs(position, min_markers)]
    changing = [f for f in across if f.switch(min_markers) and f.alleles[0] + f.alleles[-1] == change]
    return {
        "name": f"{change}{position}",
        "change": change,
        "position": position,
        "left": left,
        "right": right,
        "molecules": len(changing),
        "informative": len(across),
    }


def main() -> None:
    """Write the table of all changes and the table of crossovers."""
    params = snakemake.params
    fragments = [fragment for path in snakemake.input.fragments for fragment in read_fragments(path)]
    found = switches(fragments, params.min_markers)
    found.to_csv(snakemake.output.switches, sep="\t", index=False)
    rows = [describe(run, fragments, params.min_markers) for run in clusters(found, params.reach, params.min_molecules)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.to_csv(snakemake.output.crossovers, sep="\t", index=False)
    Path(snakemake.log[0]).write_text(
        f"{len(found)} of {len(fragments)} molecules change parent\n{table.to_string(index=False)}\n"
    )


main()
