"""Cut an interleaved run into strips of equal size, one pair of FASTQ files each."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

Record = tuple[str, str, str]


def records(run: TextIO) -> Iterator[Record]:
    """Yield (name, sequence, qualities) of a FASTQ file."""
    while name := run.readline():
        sequence, _, qualities = (run.readline().rstrip("\n") for _ in range(3))
        yield name[1:].split()[0], sequence, qualities


def pairs(run: TextIO) -> Iterator[tuple[str, Record, Record]]:
    """Yield (pair name, first mate, second mate); the run calls the mates ``NAME.1`` and ``NAME.2``."""
    mates = records(run)
    for first, second in zip(mates, mates, strict=True):
        name, _, mate = first[0].rpartition(".")
        if mate != "1" or second[0] != f"{name}.2":
            raise ValueError(f"{first[0]} is followed by {second[0]}; mates must follow each other")
        yield name, first, second


def write_mates(path: str, mates: list[tuple[str, Record]]) -> None:
    """Write one end of each pair, gzip-compressed without a time stamp."""
    text = "".join(f"@{name}\n{sequence}\n+\n{qualities}\n" for name, (_, sequence, qualities) in mates)
    Path(path).write_bytes(gzip.compress(text.encode(), compresslevel=4, mtime=0))


def main() -> None:
    """Write every strip's pair of files."""
    with gzip.open(snakemake.input.run, "rt") as run:
        all_pairs = list(pairs(run))
    strips = len(snakemake.output.first)
    report = []
    for strip in range(strips):
        chosen = all_pairs[len(all_pairs) * strip // strips : len(all_pairs) * (strip + 1) // strips]
        write_mates(snakemake.output.first[strip], [(name, first) for name, first, _ in chosen])
        write_mates(snakemake.output.second[strip], [(name, second) for name, _, second in chosen])
        report.append(f"strip {strip + 1}: {len(chosen)} pairs, {chosen[0][0]} to {chosen[-1][0]}\n")
    Path(snakemake.log[0]).write_text("".join(report))


main()
