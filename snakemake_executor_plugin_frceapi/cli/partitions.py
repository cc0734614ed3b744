"""The console command ``frceapi partitions``: the partition table that applies, for people."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from snakemake_executor_plugin_frceapi.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from snakemake_executor_plugin_frceapi.partitions.table import Partition, PartitionTable

_MINUTES = {"d": 24 * 60, "h": 60, "min": 1}


@click.command("partitions")
@click.option("--config", metavar="FILE", help="As --frceapi-partition-config: a YAML file, or 'frce' for FRCE's own.")
def partitions_command(config: str | None) -> None:
    """Show the partitions, and what a job may ask of each.

    Without --config it is the table that would apply: SNAKEMAKE_SLURM_PARTITIONS, else that of the service in
    SNAKEMAKE_FRCEAPI_URL, else FRCE's own.

    Example:  frceapi partitions --config frce
    """
    from rich.console import Console

    from snakemake_executor_plugin_frceapi.partitions.source import applicable_table
    from snakemake_executor_plugin_frceapi.settings import DEFAULT_URL

    try:
        table = applicable_table(config, os.environ, os.environ.get("SNAKEMAKE_FRCEAPI_URL", DEFAULT_URL))
    except SettingsError as error:
        raise click.ClickException(str(error).replace("--frceapi-partition-config", "--config")) from None
    if not table.partitions:
        raise click.ClickException(
            "nothing is known of the partitions of the service in SNAKEMAKE_FRCEAPI_URL; name a file with --config, or "
            "'--config frce' for FRCE's own"
        )
    console = Console(highlight=False, markup=False)
    console.print(_fitting(console, list(_rows(table))))
    for line in _lines(table):
        console.print(line, soft_wrap=True)


def _fitting(console: Console, rows: Sequence[Sequence[str]]) -> Table:
    """Return a table with one line a partition, or if that is too wide with one column a partition."""
    upright = _grid(list(zip(*rows, strict=True)))
    unlimited = console.options.update(max_width=sys.maxsize)
    return upright if console.measure(upright, options=unlimited).maximum <= console.width else _grid(rows)


def _grid(rows: Sequence[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(rows[0]):
        shown.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in rows[1:]:
        shown.add_row(*row)
    return shown


def _rows(table: PartitionTable) -> Iterator[list[str]]:
    """Yield the names, and then what there is to tell of at least one partition."""
    yield ["partition", *(partition.name for partition in table.partitions)]
    for heading, tell in _columns().items():
        cells = [tell(partition) for partition in table.partitions]
        if any(cells):
            yield [heading, *(cell or "-" for cell in cells)]


def _columns() -> dict[str, Callable[[Partition], str]]:
    """What there is to tell of a partition, by heading; an empty text: nothing."""
    from snakemake_executor_plugin_frceapi.partitions.need import CAPS

    caps = {cap.what: key for key, cap in CAPS.items() if key != "max_runtime"}
    return {
        "time limit": lambda partition: _time(partition.caps.get("max_runtime")),
        "default time": lambda partition: _time(partition.default_runtime_minutes),
        **{heading: partial(_cap, key) for heading, key in caps.items()},
        "default MB per CPU": lambda partition: _number(partition.default_mem_mb_per_cpu),
        "GPUs": lambda partition: _number(partition.max_gpu or None),
        "GPUs unasked": lambda partition: _number(partition.provides_gpu or None),
        "GPU models": lambda partition: ", ".join(partition.gpu_models),
        "MPI": lambda partition: "" if partition.supports_mpi else "no",
        "cluster": lambda partition: partition.cluster or "",
        "chosen": lambda partition: "if named" if partition.only_named else "",
    }


def _cap(key: str, partition: Partition) -> str:
    return _number(partition.caps.get(key))


def _lines(table: PartitionTable) -> Iterator[str]:
    if table.moves:
        steps = [
            f"{'longer' if math.isinf(move.minutes) else 'up to ' + _time(move.minutes)} to {move.partition}"
            for move in table.moves
        ]
        among = ", ".join(dict.fromkeys(move.partition for move in table.moves))
        yield f"A job with a time limit that asks for one of {among} is moved: {', '.join(steps)}."
    if table.facts:
        yield f"Known from: {'; '.join(table.sources) or 'not told'} ({table.facts})."
    yield f"Written in: {table.source}"


def _time(minutes: float | None) -> str:
    """Minutes as people read them, such as ``2 d 12 h``."""
    if minutes is None or math.isinf(minutes):
        return ""
    left, parts = round(minutes), []
    for unit, length in _MINUTES.items():
        count, left = divmod(left, length)
        parts += [f"{count} {unit}"] if count else []
    return " ".join(parts) or "0 min"


def _number(number: float | None) -> str:
    return "" if number is None or math.isinf(number) else f"{number:,.15g}"
