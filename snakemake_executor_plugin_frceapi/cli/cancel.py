"""The console command ``frceapi cancel``: ends jobs, for which the API has no call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snakemake_executor_plugin_frceapi.cli.service import encoding_options, one_line, service_options, settings_of

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.withdrawal import Target, Withdrawal

_MOST_SHOWN = 10


@click.command("cancel")
@click.argument("jobids", metavar="[ID]...", nargs=-1)
@click.option("--run", is_flag=True, help="All jobs of the runs in this directory.")
@click.option("--all-pending", is_flag=True, help="All your jobs that wait in the queue, of whatever directory.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", type=click.IntRange(0), default=20, show_default=True, help="Seconds to wait for the ends.")
@service_options
@encoding_options
@click.pass_context
def cancel_command(
    context: click.Context,
    /,
    jobids: tuple[str, ...],
    run: bool,
    all_pending: bool,
    yes: bool,
    timeout: int,
    **options: Any,
) -> None:
    """Cancel jobs: those with the given IDs, those of this directory, or all that wait.

    A job of this directory is ordered to end in its run directory. Others, and those that wait, are ended by scancel:
    of this machine where it speaks to the same cluster, else in a small job that is submitted for it. A Snakemake that
    lives sees a cancelled job as failed. The exit code is 1 if a job may still be alive.

    Example:  frceapi cancel --run
    """
    if bool(jobids) + run + all_pending != 1:
        raise click.UsageError("give IDs, or --run, or --all-pending")
    from snakemake_executor_plugin_frceapi.assembly import client_config, request_encoding
    from snakemake_executor_plugin_frceapi.client.calls import Client
    from snakemake_executor_plugin_frceapi.overview import Workplace
    from snakemake_executor_plugin_frceapi.wire import encode_request
    from snakemake_executor_plugin_frceapi.withdrawal import Withdrawal

    with one_line():
        settings = settings_of(options)
        encoding = request_encoding(settings)
        withdrawal = Withdrawal(
            Client(client_config(settings)),
            Workplace(Path(".snakemake")),
            lambda request, script: encode_request(request, script, encoding),
        )
        targets = _chosen(withdrawal, jobids, pending=all_pending)
        if not targets:
            click.echo("There is no job to cancel.")
            return
        if not yes:
            click.confirm(f"Cancel {_named(targets)}?", abort=True)
        alive = withdrawal.cancel(targets, timeout)
    click.echo(_outcome(targets, alive))
    context.exit(1 if alive else 0)


def _chosen(withdrawal: Withdrawal, jobids: Sequence[str], *, pending: bool) -> list[Target]:
    if jobids:
        return withdrawal.named(jobids)
    return withdrawal.pending() if pending else withdrawal.of_this_directory()


def _named(targets: Sequence[Target]) -> str:
    count = f"{len(targets)} job{'' if len(targets) == 1 else 's'}"
    more = f" and {len(targets) - _MOST_SHOWN} more" if len(targets) > _MOST_SHOWN else ""
    return f"{count} ({'; '.join(map(str, targets[:_MOST_SHOWN]))}{more})"


def _outcome(targets: Sequence[Target], alive: Sequence[Target]) -> str:
    if not alive:
        return f"{_named(targets)}: ended."
    from snakemake_executor_plugin_frceapi.cancel import LARGEST_SLURM_JOBID

    slurms = [target.external_jobid for target in alive if int(target.external_jobid) <= LARGEST_SLURM_JOBID]
    line = f"{_named(alive)}: may still be alive; a job of this directory ends as soon as it sees its order."
    return line + (f" To end them at once, type on the cluster: scancel {' '.join(slurms)}" if slurms else "")
