"""Put into one table what each strip says: its reads, their quality, and its ancestry in each segment of the genome."""

import json
from pathlib import Path

import pandas as pd
from alignment import read_alignment
from fragments import Fragment, read_fragments


def segment_names(crossovers: list[int], length: int) -> list[str]:
    """Return the names of the segments that the crossovers cut the genome into."""
    starts = [1, *(position + 1 for position in crossovers)]
    return [f"share_{start}-{end}" for start, end in zip(starts, [*crossovers, length], strict=True)]


def segment_shares(fragments: list[Fragment], crossovers: list[int]) -> list[float]:
    """Return the second parent's share of the alleles in each segment."""
    alleles = pd.DataFrame(
        [pair for fragment in fragments for pair in zip(fragment.markers, fragment.alleles, strict=True)],
        columns=["position", "allele"],
    )
    segment = sum((alleles["position"] > crossover).astype(int) for crossover in [0, *crossovers]) - 1
    is_second = alleles["allele"] == "V"
    return is_second.groupby(segment).mean().reindex(range(len(crossovers) + 1)).round(4).tolist()


def row(strip: str, quality: str, fragments: str, crossovers: list[int], length: int) -> dict[str, str | int | float]:
    """Return one strip's row."""
    counts = json.loads(Path(quality).read_text())["summary"]
    molecules = list(read_fragments(fragments))
    shares = segment_shares(molecules, crossovers)
    return {
        "strip": strip,
        "reads": counts["before_filtering"]["total_reads"],
        "q30": round(counts["before_filtering"]["q30_rate"], 4),
        "reads_kept": counts["after_filtering"]["total_reads"],
        "q30_kept": round(counts["after_filtering"]["q30_rate"], 4),
        "molecules": len(molecules),
    } | dict(zip(segment_names(crossovers, length), shares, strict=True))


def main() -> None:
    """Write the table of strips."""
    crossovers = pd.read_csv(snakemake.input.crossovers, sep="\t")["position"].tolist()
    length = int((read_alignment(snakemake.input.alignment)[snakemake.params.reference] != "-").sum())
    inputs = zip(snakemake.params.strips, snakemake.input.quality, snakemake.input.fragments, strict=True)
    table = pd.DataFrame([row(*each, crossovers, length) for each in inputs])
    table.to_csv(snakemake.output.summary, sep="\t", index=False)
    Path(snakemake.log[0]).write_text(table.to_string(index=False) + "\n")


main()
