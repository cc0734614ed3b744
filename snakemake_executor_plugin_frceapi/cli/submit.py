"""The console command ``frceapi submit``: a batch script through the API, with sbatch's options."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snakemake_executor_plugin_frceapi.cli.service import (
    encoding_options,
    one_line,
    own_flags,
    service_options,
    settings_of,
)
from snakemake_executor_plugin_frceapi.sbatch import EXPRESSIBLE

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.job import SubmitOutcome

_HELP = {
    "slurm_partition": "Partition; without it the one that fits best, where the partitions are known.",
    "runtime": "Time limit: minutes, H:MM:SS or D-HH:MM:SS.",
    "cpus_per_task": "CPUs of each task.",
    "mem_mb": "Memory of each node: 4000M, 4G.",
    "mem_mb_per_cpu": "Memory of each CPU.",
    "tasks": "Number of tasks.",
    "tasks_per_node": "Tasks on each node.",
    "ntasks_per_core": "Tasks on each core, 1 or 2.",
    "dependency": "Jobs to wait for: afterok:101:102.",
}


def _sbatch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of sbatch that the API can express."""
    options = [
        click.option(*names, resource, metavar="VALUE", help=_HELP[resource]) for resource, names in EXPRESSIBLE.items()
    ]
    return reduce(lambda inner, option: option(inner), reversed(options), command)


@click.command("submit", context_settings={"ignore_unknown_options": True})
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
@_sbatch_options
@service_options
@encoding_options
def submit_command(script: Path, rest: tuple[str, ...], **options: Any) -> None:
    """Submit a batch script, as sbatch does.

    The options are those of sbatch that the API can express, on the command line or in #SBATCH lines; any other is
    refused. The job starts without your environment, and its output is where Slurm puts it: let the script redirect it.

    Example:  frceapi submit job.sh -p norm -c 4 --mem 8G -t 2:00:00
    """
    from snakemake_executor_plugin_frceapi.assembly import client_config, request_encoding
    from snakemake_executor_plugin_frceapi.client.calls import Client
    from snakemake_executor_plugin_frceapi.partitions.source import applicable_table
    from snakemake_executor_plugin_frceapi.sbatch import request_of, sent_script
    from snakemake_executor_plugin_frceapi.wire import encode_request

    if rest:
        remedy = "take it out" if rest[0].startswith("-") else "write it into the script"
        raise click.ClickException(f"the API cannot express {rest[0].partition('=')[0]}; {remedy}")
    words = [f"{EXPRESSIBLE[name][0]}={value}" for name in EXPRESSIBLE if (value := options.pop(name)) is not None]
    with one_line():
        settings = settings_of(options)
        text = _text(script)
        request = request_of(text, words, applicable_table(None, os.environ, settings.url))
        body = encode_request(request, sent_script(text), request_encoding(settings))
        jobid = _jobid(Client(client_config(settings)).submit_job(body))
    click.echo(f"Submitted batch job {jobid}")


def _text(script: Path) -> str:
    try:
        return script.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{script} cannot be read ({type(error).__name__}); give a text in UTF-8") from None


def _jobid(outcome: SubmitOutcome) -> str:
    from snakemake_executor_plugin_frceapi.job import Accepted, NotSent, Refused

    match outcome:
        case Accepted():
            return outcome.external_jobid
        case NotSent():
            raise outcome.fault
        case Refused():
            raise click.ClickException(own_flags(outcome.message))
    raise click.ClickException(own_flags(f"{outcome.message}; look at `frceapi jobs` before you submit it again"))
