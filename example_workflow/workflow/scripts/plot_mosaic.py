"""Draw the figure: the known genomes, the sample's ancestry, and the molecules that change parent."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from alignment import read_alignment
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

FIRST, SECOND = "#0072B2", "#E69F00"  # the blue and the orange of Okabe and Ito's colour-blind-safe palette
COLOURS = {"D": FIRST, "V": SECOND}
INK, FAINT = "#222222", "#8A8A8A"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "mosaic",
}


def blocks(markers: pd.DataFrame, genome: str, second: str, length: int) -> list[tuple[float, float, str]]:
    """Return (start, width, colour) of the pieces of a genome, which meet halfway between two markers."""
    position = markers["position"].to_numpy()
    is_second = (markers[genome] == markers[second]).to_numpy()
    change = np.flatnonzero(is_second[1:] != is_second[:-1])
    edges = [1.0, *((position[change] + position[change + 1]) / 2), float(length)]
    origins = [is_second[0], *is_second[change + 1]]
    return [
        (start, end - start, SECOND if origin else FIRST)
        for start, end, origin in zip(edges, edges[1:], origins, strict=False)
    ]


def draw_genomes(ax: Axes, markers: pd.DataFrame, length: int) -> None:
    """Draw each known genome as a bar in its parents' colours, and the reading frame above them."""
    _, second = snakemake.params.parents
    names = list(markers.columns[1:])
    for row, name in enumerate(names):
        pieces = blocks(markers, name, second, length)
        ax.broken_barh([(s, w) for s, w, _ in pieces], (row - 0.32, 0.64), facecolors=[c for *_, c in pieces])
    begin, end = snakemake.params.coding_region
    ax.broken_barh([(begin, end - begin)], (-1.35, 0.6), facecolors="#EEEEEE", edgecolors=FAINT, linewidth=0.6)
    ax.plot([1, begin], [-1.05, -1.05], [end, length], [-1.05, -1.05], color=FAINT, linewidth=0.8)
    for x, label in ((begin / 2, "5′ UTR"), (2900, "capsid proteins"), (7800, "helicase, protease, polymerase")):
        ax.text(x, -1.05 if x > begin else -1.2, label, ha="center", va="center" if x > begin else "bottom", fontsize=8)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -1.7)
    ax.tick_params(axis="both", length=0, labelbottom=False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_title("a  Four published genomes: two parents, two recombinants")


def draw_ancestry(ax: Axes, windows: pd.DataFrame) -> None:
    """Draw the second parent's share along the genome: every strip, the interval, the pooled value."""
    middle = windows["start"] + snakemake.params.window / 2
    strips = windows.filter(like="strip")
    for strip in strips:
        ax.plot(middle, windows[strip], color=FAINT, linewidth=0.4, alpha=0.6)
    ax.fill_between(middle, windows["low"], windows["high"], color=SECOND, alpha=0.45, linewidth=0)
    ax.plot(middle, windows["share"], color="#9A6A00", linewidth=1.4)
    ax.set_ylim(-0.03, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_ylabel(f"{snakemake.params.parents[1]} alleles")
    ax.set_title(f"b  The sample: share of {snakemake.params.parents[1]} alleles along the genome")
    note = f"windows of {snakemake.params.window} nt\nband: 95 % interval\ngrey: {strips.shape[1]} parts of the run"
    ax.text(0.99, 0.97, note, transform=ax.transAxes, ha="right", va="top", fontsize=8, color=INK)


def draw_switches(ax: Axes, switches: pd.DataFrame, crossovers: pd.DataFrame) -> None:
    """Draw how many molecules change from one parent to the other in each window: one way up, the other down."""
    edges = np.arange(0, ax.get_xlim()[1] + 50, 50)
    first, second = snakemake.params.parents
    for change, sign, label in (("DV", 1, f"{first} to {second}"), ("VD", -1, f"{second} to {first}")):
        counts, _ = np.histogram(switches.loc[switches["change"] == change, "position"], edges)
        ax.bar(edges[:-1], sign * counts, 50, align="edge", color=COLOURS[change[1]], label=label, linewidth=0)
    for crossover in crossovers.itertuples():
        sign = 1 if crossover.change == "DV" else -1
        text = f"nt {crossover.left:,}–{crossover.right:,}: {crossover.molecules} molecules"
        ax.annotate(
            text,
            (crossover.position, sign * crossover.molecules * 0.8),
            (14, 0),
            textcoords="offset points",
            va="center",
        )
    ax.axhline(0, color=FAINT, linewidth=0.6)
    ax.set_yscale("symlog", linthresh=10)
    reach = max(30, 1.5 * crossovers["molecules"].max())
    ax.set_ylim(-reach, reach)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    ax.set_ylabel("molecules")
    ax.legend(loc="upper right", frameon=False, ncols=2)
    ax.set_title("c  Molecules that change parent, in windows of 50 nt")


def draw_molecules(ax: Axes, letter: str, molecules: pd.DataFrame, crossover: pd.Series) -> None:
    """Draw a choice of single molecules across one crossover, one a row, with a mark for each allele."""
    spans = molecules.groupby("molecule")[["start", "end"]].first()
    lines = [[(start, row), (end, row)] for row, (start, end) in spans.iterrows()]
    ax.add_collection(LineCollection(lines, colors="#D5D5D5", linewidths=1.0, zorder=1))
    ax.scatter(
        molecules["position"], molecules["molecule"], s=11, marker="s", c=molecules["allele"].map(COLOURS), linewidths=0
    )
    ax.axvspan(crossover["left"], crossover["right"], color="#000000", alpha=0.07, linewidth=0)
    flank = snakemake.params.flank
    ax.set_xlim(crossover["position"] - flank, crossover["position"] + flank)
    ax.set_ylim(len(spans), -1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel("position in the genome (nt)")
    share = crossover["molecules"] / crossover["informative"]
    ax.set_title(
        f"{letter}  {crossover['molecules']} of {crossover['informative']} molecules change here ({share:.0%})"
    )


def draw(length: int, tables: dict[str, pd.DataFrame], molecules: list[pd.DataFrame]) -> Figure:
    """Return the figure."""
    crossovers = tables["crossovers"]
    figure = plt.figure(figsize=(10.5, 10.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.07, hspace=0.02)
    rows = figure.add_gridspec(4, 1, height_ratios=[1.55, 1.9, 1.5, 2.9])
    top = [figure.add_subplot(rows[0])]
    top += [figure.add_subplot(rows[i], sharex=top[0]) for i in (1, 2)]
    top[0].set_xlim(1, length)
    draw_genomes(top[0], tables["markers"], length)
    draw_ancestry(top[1], tables["windows"])
    draw_switches(top[2], tables["switches"], crossovers)
    top[1].tick_params(labelbottom=False)
    top[2].set_xlabel(f"position in the genome (nt, {snakemake.params.reference} coordinates)")
    top[2].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panels = rows[3].subgridspec(1, max(1, len(molecules)))
    for letter, panel, table, (_, crossover) in zip("defghijk", panels, molecules, crossovers.iterrows(), strict=False):
        draw_molecules(figure.add_subplot(panel), letter, table, crossover)
        for ax in top:
            ax.axvline(crossover["position"], color=INK, linewidth=0.7, linestyle=(0, (3, 3)), zorder=0.5)
    return figure


def main() -> None:
    """Draw and save the figure."""
    mpl.rcParams.update(STYLE)
    names = ("markers", "windows", "switches", "crossovers")
    tables = {name: pd.read_csv(snakemake.input[name], sep="\t") for name in names}
    molecules = [pd.read_csv(path, sep="\t") for path in snakemake.input.molecules]
    length = int((read_alignment(snakemake.input.alignment)[snakemake.params.reference] != "-").sum())
    figure = draw(length, tables, molecules)
    figure.savefig(snakemake.output[0], dpi=160)
    figure.savefig(snakemake.output[1], metadata={"Date": None})


main()
