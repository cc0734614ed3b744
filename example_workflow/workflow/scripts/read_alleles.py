"""Read from each molecule which parent's allele it carries at each marker that it covers."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pysam
from alignment import read_alignment, reference_positions
from fragments import Fragment, write_fragments

Positions = dict[str, npt.NDArray[np.int64]]
Alleles = dict[int, dict[str, str]]

CONFLICT = "x"


class Molecule:
    """What the mates of one pair say together."""

    def __init__(self) -> None:
        self.covered: set[int] = set()
        self.alleles: dict[int, str] = {}

    def add(self, read: pysam.AlignedSegment, positions: npt.NDArray[np.int64], letters: Alleles) -> None:
        """Add one mate; where the mates disagree the marker counts for nothing."""
        for in_read, in_genome in read.get_aligned_pairs(matches_only=True):
            position = int(positions[in_genome])
            self.covered.add(position)
            if position in letters and read.query_qualities[in_read] >= snakemake.params.min_base_quality:
                allele = letters[position].get(read.query_sequence[in_read], CONFLICT)
                self.alleles[position] = allele if self.alleles.get(position, allele) == allele else CONFLICT

    def fragment(self) -> Fragment:
        """Return the molecule as a row of the table."""
        known = sorted((position, allele) for position, allele in self.alleles.items() if allele != CONFLICT)
        covered = self.covered - {0}
        return Fragment(min(covered), max(covered), tuple(p for p, _ in known), "".join(a for _, a in known))


def best_alignments(path: str) -> list[pysam.AlignedSegment]:
    """Return each read's best alignment, if it is good enough."""
    with pysam.AlignmentFile(path) as bam:
        return [
            read
            for read in bam
            if not (read.is_unmapped or read.is_secondary or read.is_supplementary)
            and read.get_tag("AS") >= snakemake.params.min_alignment_score
        ]


def main() -> None:
    """Write the table of molecules."""
    aligned = read_alignment(snakemake.input.alignment)
    positions: Positions = {name: reference_positions(aligned, name, snakemake.params.reference) for name in aligned}
    markers = pd.read_csv(snakemake.input.markers, sep="\t")
    first, second = (markers[parent] for parent in snakemake.params.parents)
    letters = {p: {d: "D", v: "V"} for p, d, v in zip(markers["position"], first, second, strict=True)}

    molecules: defaultdict[str, Molecule] = defaultdict(Molecule)
    for read in best_alignments(snakemake.input.bam):
        molecules[read.query_name].add(read, positions[read.reference_name], letters)
    fragments = [molecule.fragment() for molecule in molecules.values()]
    fragments = [f for f in fragments if f.end - f.start < snakemake.params.max_length]
    write_fragments(snakemake.output.fragments, fragments)

    Path(snakemake.log[0]).write_text(f"{len(fragments)} molecules, {sum(len(f.alleles) for f in fragments)} alleles\n")


main()
