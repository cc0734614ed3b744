"""Measures this plugin and others side by side on the test cluster: ``python -m tests.benchmarks [SCENARIO]…``."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from tests.benchmarks import picture, results, table
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.scenario import Scenario, judge
from tests.benchmarks.scenarios import SCENARIOS
from tests.cluster.system import why_not

_WIDTH = 140
_NAMES = click.Choice([scenario.name for scenario in SCENARIOS])


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1, type=_NAMES)
@click.option("--rounds", type=click.IntRange(min=1), help="How often each is measured; the median counts.")
@click.option(
    "--output",
    default=Path("benchmark_results"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the results go, as JSON and as a picture.",
)
def main(names: tuple[str, ...], rounds: int | None, output: Path) -> None:
    """Measure scenarios, all of the ten minutes if none is named, and compare the medians with the targets."""
    if reason := why_not():
        raise click.ClickException(f"the test cluster cannot run: {reason}")
    # A shell has the processes that it starts behind its back ignore Ctrl-C, which they hand on to Snakemake.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = [scenario for scenario in SCENARIOS if _is_chosen(scenario, names)]
    console = Console(width=_WIDTH)
    done = Rounds(partial(click.echo, err=True))
    done.measure(chosen, rounds)
    verdicts = {scenario.name: judge(scenario.targets, done.values[scenario.name]) for scenario in chosen}
    for scenario in chosen:
        console.print(table.quantities(scenario, done.values[scenario.name]), "")
    console.print(table.targets(verdicts), "")
    output.mkdir(parents=True, exist_ok=True)
    for path in (results.write(output, done.values, verdicts), picture.draw(output, verdicts)):
        click.echo(f"written: {path}")
    if done.failures:
        raise click.ClickException("\n".join(["something could not be measured", *done.failures]))


def _is_chosen(scenario: Scenario, names: tuple[str, ...]) -> bool:
    return scenario.name in names if names else not scenario.is_extra


if __name__ == "__main__":
    main()
