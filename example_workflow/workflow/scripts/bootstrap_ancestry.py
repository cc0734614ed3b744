"""Second parent's share of the alleles along the genome, with an interval from resampling molecules."""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from fragments import Fragment, read_fragments

BASE_MB = 300  # Python, its libraries and the Snakemake that starts it
BYTES_PER_WEIGHT = 12  # an integer draw and its copy as a float

Counts = npt.NDArray[np.float32]


def check_memory(molecules: int, resamples: int) -> None:
    """End before anything is allocated if the job was given less memory than it needs."""
    needed_mb = BASE_MB + molecules * resamples * BYTES_PER_WEIGHT // 1_000_000
    if needed_mb > snakemake.resources.mem_mb:
        message = (
            f"{resamples} resamples of {molecules} molecules need {needed_mb} MB and the job"
            f" was given {snakemake.resources.mem_mb} MB: the next attempt asks for more\n"
        )
        Path(snakemake.log[0]).write_text(message)
        sys.exit(message)


def count_alleles(fragments: list[Fragment], windows: int, window: int) -> tuple[Counts, Counts]:
    """Return for each molecule (row) and window (column) its alleles of the first and the second parent."""
    first, second = (np.zeros((len(fragments), windows), dtype=np.float32) for _ in range(2))
    for row, fragment in enumerate(fragments):
        for marker, allele in zip(fragment.markers, fragment.alleles, strict=True):
            (first if allele == "D" else second)[row, (marker - 1) // window] += 1
    return first, second


def share(first: Counts, second: Counts, min_alleles: int) -> Counts:
    """Return second / (first + second), and nothing where there are too few alleles."""
    total = first + second
    return np.where(total >= min_alleles, second / np.maximum(total, 1), np.nan)


def ancestry(strips: list[list[Fragment]]) -> pd.DataFrame:
    """Return the table of windows: depth, share, its 95 % interval, and each strip's share."""
    params = snakemake.params
    fragments = [fragment for strip in strips for fragment in strip]
    check_memory(len(fragments), params.resamples)
    windows = -(-max(fragment.end for fragment in fragments) // params.window)
    first, second = count_alleles(fragments, windows, params.window)
    draws = np.random.default_rng(seed=1).poisson(1, size=(params.resamples, len(fragments)))
    weights = draws.astype(np.float32)
    resampled = share(weights @ first, weights @ second, 1)
    pooled = share(first.sum(axis=0), second.sum(axis=0), params.min_alleles)
    low, high = np.where(np.isnan(pooled), np.nan, np.nanpercentile(resampled, [2.5, 97.5], axis=0))

    table = pd.DataFrame({"start": np.arange(windows) * params.window + 1})
    table["alleles"] = (first + second).sum(axis=0).astype(int)
    table["share"], table["low"], table["high"] = pooled, low, high
    bounds = np.cumsum([0, *map(len, strips)])
    for name, begin, end in zip(params.strips, bounds, bounds[1:], strict=False):
        table[name] = share(first[begin:end].sum(axis=0), second[begin:end].sum(axis=0), params.min_alleles)
    return table


def main() -> None:
    """Write the table of windows."""
    table = ancestry([list(read_fragments(path)) for path in snakemake.input.fragments])
    table.to_csv(snakemake.output.windows, sep="\t", index=False, float_format="%.4f")
    Path(snakemake.log[0]).write_text(f"{len(table)} windows, {table['alleles'].sum()} alleles\n")


main()
