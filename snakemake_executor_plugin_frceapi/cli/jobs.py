"""The console command ``frceapi jobs``: what the service lists, with the names that it has in the workflow."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from snakemake_executor_plugin_frceapi.cli.service import one_line, own_flags, service_options, settings_of

if TYPE_CHECKING:
    from rich.console import Console, Group

    from snakemake_executor_plugin_frceapi.overview import Row

_COLUMNS = ("job", "state", "partition", "start", "end", "node", "rule", "wildcards", "log")
_WANTED = ("job", "state", "rule", "wildcards", "partition", "start", "log", "node", "end")
"""The columns as they are wanted when there is no room for all."""
_NEEDED = 4
_NEVER_CUT = ("job", "state")
_GAP = 2

logdir_option = click.option(
    "--logdir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="As --frceapi-logdir of the run.  [default: .snakemake/frceapi_logs]",
)


@click.command("jobs")
@service_options
@logdir_option
@click.option("--here", is_flag=True, help="Only the jobs of this directory.")
@click.option("--active", is_flag=True, help="Only the jobs that wait or run.")
@click.option("--watch", is_flag=True, help="Refresh the table in place, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two questions with --watch.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def jobs_command(
    logdir: Path | None, here: bool, active: bool, watch: bool, interval: int, as_json: bool, **options: Any
) -> None:
    """Show your jobs of the last 24 hours.

    The API gives all jobs the same name; rule, wildcards and log are those of the runs in this directory. In a
    terminal, columns that have no room are left out, and with --watch the oldest jobs.

    Example:  frceapi jobs --here --watch
    """
    from rich.console import Console

    from snakemake_executor_plugin_frceapi.assembly import client_config
    from snakemake_executor_plugin_frceapi.client.calls import Client
    from snakemake_executor_plugin_frceapi.overview import Workplace, joined

    console = Console(highlight=False, markup=False)
    if watch and (as_json or not console.is_terminal):
        raise click.ClickException("--watch needs a terminal; leave it out, or --json")
    with one_line():
        client = Client(client_config(settings_of(options)))
        place = Workplace(Path(".snakemake"), logdir)

        def look() -> list[Row]:
            known = place.jobs()
            rows = joined(client.query_status(), known, Path.cwd())
            return [row for row in rows if (row.is_active or not active) and (row.job in known or not here)]

        if watch:
            _watch(console, look, interval)
        elif as_json:
            click.echo(json.dumps({"jobs": [asdict(row) for row in look()]}, indent=2))
        else:
            _print(console, look())


def _watch(console: Console, look: Callable[[], list[Row]], interval: int) -> None:
    """Show the jobs until Ctrl-C; while the service cannot be asked, what was seen last.

    Raises:
        FrceapiError: it cannot be asked at first, or not until something is changed.
    """
    from rich.live import Live

    from snakemake_executor_plugin_frceapi.errors import TransientFault

    rows, said = look(), _seen()
    with Live(console=console, auto_refresh=False) as live, suppress(KeyboardInterrupt):
        while True:
            live.update(_screen(rows, console.width, console.height - 1, said), refresh=True)
            time.sleep(interval)
            try:
                rows, said = look(), _seen()
            except TransientFault as fault:
                said = own_flags(f"not refreshed at {_clock()}: {fault}")


def _seen() -> str:
    return f"seen at {_clock()}"


def _clock() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"


def _print(console: Console, rows: Sequence[Row]) -> None:
    """Print the jobs; where that is no terminal, with all columns and nothing cut."""
    if not console.is_terminal:
        console.width = sum(_widths(rows).values()) + _GAP * len(_COLUMNS)
    console.print(_screen(rows, console.width, None, ""))


def _screen(rows: Sequence[Row], width: int, height: int | None, said: str) -> Group:
    """Return the table with a text below it.

    Args:
        rows: the jobs.
        width: characters in a line.
        height: lines that there are; where that is too few the last jobs are shown, and one at least. None: enough.
        said: what else to say.
    """
    from rich.console import Group
    from rich.table import Table

    widths = _widths(rows)
    columns = fitting_columns(widths, width)
    below = len(wrap(_footer(rows, len(rows), said), width))
    room = len(rows) if height is None else max(1, height - 1 - below)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(
            name, no_wrap=True, overflow="ellipsis", min_width=widths[name] if name in _NEVER_CUT else None
        )
    for row in rows[-room:]:
        table.add_row(*(str(getattr(row, name)) or "-" for name in columns))
    return Group(*([table] if rows else []), _footer(rows, len(rows) - room, said))


def _footer(rows: Sequence[Row], hidden: int, said: str) -> str:
    return summary(rows, hidden) + (f"; {said}" if said else "")


def fitting_columns(widths: dict[str, int], width: int) -> list[str]:
    """Return the names of the columns that have room beside one another, as many as are needed at least.

    Args:
        widths: width of the content of each column.
        width: characters in a line.
    """
    chosen, used = set(_WANTED[:_NEEDED]), sum(widths[name] + _GAP for name in _WANTED[:_NEEDED])
    for name in _WANTED[_NEEDED:]:
        used += widths[name] + _GAP
        if used <= width + _GAP:
            chosen.add(name)
    return [name for name in _COLUMNS if name in chosen]


def _widths(rows: Sequence[Row]) -> dict[str, int]:
    from rich.cells import cell_len

    return {name: max([len(name), *(cell_len(str(getattr(row, name))) for row in rows)]) for name in _COLUMNS}


def summary(rows: Sequence[Row], hidden: int = 0) -> str:
    """Return how many jobs there are in each state.

    Args:
        rows: the jobs.
        hidden: how many of them are not shown.
    """
    states = ", ".join(f"{number} {state}" for state, number in Counter(row.state for row in rows).most_common())
    jobs = f"{len(rows)} job{'' if len(rows) == 1 else 's'}"
    return jobs + (f": {states}" if states else "") + (f"; {hidden} more above" if hidden > 0 else "")
