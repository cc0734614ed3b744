"""Measures on the test cluster and prints medians and ratios: ``python -m tests.benchmarks``."""

from __future__ import annotations

from statistics import median

import click

from tests.benchmarks.chain import Variant, makespan, variants
from tests.cluster.rig import running_rig
from tests.cluster.system import why_not


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often each variant is run; the median counts.")
@click.option("--levels", default=8, show_default=True, help="Jobs of the chain.")
def main(rounds: int, levels: int) -> None:
    """Compare chains of dependent jobs with and without look-ahead."""
    if reason := why_not():
        raise click.ClickException(f"the test cluster cannot run: {reason}")
    seconds: dict[Variant, list[float]] = {variant: [] for variant in variants()}
    with running_rig() as rig:
        for number in range(rounds):
            for variant, found in seconds.items():
                found.append(makespan(rig, variant, levels))
                click.echo(f"round {number + 1}: {variant.name}: {found[-1]:.1f} s", err=True)
    without = 0.0
    for variant, found in seconds.items():
        took = median(found)
        ratio = f"{took / without:5.2f} of that without" if variant.lookahead else ""
        without = without if variant.lookahead else took
        click.echo(f"{variant.name:45} {took:6.1f} s  {ratio}".rstrip())


if __name__ == "__main__":
    main()
