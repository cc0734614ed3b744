"""The console command ``frceapi doctor``: is it the ticket, the network, the service, or what a job finds?"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
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

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.doctor import Finding, Probe
    from snakemake_executor_plugin_frceapi.settings import ExecutorSettings

_PACKAGES = ("snakemake-executor-plugin-frceapi", "snakemake", "requests", "gssapi")
_COLORS = {"ok": "green", "note": "yellow", "failed": "red", "skipped": "bright_black"}


@click.command("doctor")
@service_options
@encoding_options
@click.option("--submit", is_flag=True, help="Also submit one tiny job, and tell what it finds; needs -p.")
@click.option("-p", "--partition", metavar="NAME", help="Partition of that job.")
@click.option(
    "--wait",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for that job to begin.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for tickets to the site's support.")
@click.pass_context
def doctor_command(
    context: click.Context,
    /,
    submit: bool,
    partition: str | None,
    wait: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Try each step on the way to the API, and say what to do about one that fails.

    Without --submit no job is submitted: of submit_job an empty request is tried, which the API has to refuse. Nothing
    secret is printed. The exit code is 1 if a step failed, else 0.

    With --submit a job of two CPUs and a minute at most tells how the API reads the numbers of a request, and what
    jobs find on a node; the lines for the profile that follow from it are printed. Call it in a workflow's directory.

    Example:  frceapi doctor --submit -p norm
    """
    from snakemake_executor_plugin_frceapi.assembly import client_config
    from snakemake_executor_plugin_frceapi.doctor import Examination, Finding, Outcome

    if submit != bool(partition):
        raise click.UsageError("--submit and -p PARTITION go together")
    with one_line():
        settings = settings_of(options)
        config = client_config(settings)
        show = iter if as_json else _shown
        seen = list(show(Examination(config, os.environ).findings()))
        lines: list[str] = []
        if partition and (broken := _failed(seen)):
            seen += show([Finding("probe", Outcome.SKIPPED, f"not tried, because {' and '.join(broken)} failed")])
        elif partition:
            probe = _probe(settings, partition, wait)
            seen += show(probe.findings())
            lines = probe.profile()
    if as_json:
        steps = [_as_document(item) for item in seen]
        click.echo(json.dumps({**_surroundings(config.base_url), "steps": steps, "profile": lines}, indent=2))
    else:
        click.echo("".join(f"{line}\n" for line in _last_lines(_failed(seen), lines)), nl=False)
    context.exit(1 if _failed(seen) else 0)


def _failed(findings: Iterable[Finding]) -> list[str]:
    return [finding.step for finding in findings if finding.outcome.value == "failed"]


def _last_lines(failed: Sequence[str], profile: Sequence[str]) -> Iterator[str]:
    """Yield the lines below the steps, some of which may have left the screen at its top."""
    if profile:
        yield from ("", "For the profile:", *(f"  {line}" for line in profile))
    if failed:
        yield from ("", f"Failed: {', '.join(failed)}.")


def _probe(settings: ExecutorSettings, partition: str, wait: int) -> Probe:
    from snakemake_executor_plugin_frceapi.assembly import client_config, request_encoding
    from snakemake_executor_plugin_frceapi.client.calls import Client
    from snakemake_executor_plugin_frceapi.doctor import Probe
    from snakemake_executor_plugin_frceapi.spool import Spool

    service, spool = Client(client_config(settings)), Spool(Path(".snakemake").absolute() / "frceapi")
    return Probe(service, spool, partition, request_encoding(settings), os.environ, wait)


def _shown(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Print each finding as soon as it is known: in a terminal with hanging lines, else as one line."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    for finding in findings:
        text = own_flags(finding.text)
        if console.is_terminal:
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(width=7, style=_COLORS[finding.outcome])
            grid.add_column(width=15)
            grid.add_column(overflow="fold")
            grid.add_row(finding.outcome, finding.step, text)
            console.print(grid)
        else:
            click.echo(f"{finding.outcome:<9}{finding.step:<16}{text}")
        yield finding


def _as_document(finding: Finding) -> dict[str, object]:
    return {
        "step": finding.step,
        "outcome": finding.outcome,
        "text": own_flags(finding.text),
        "seconds": finding.seconds,
        **({"facts": dict(finding.facts)} if finding.facts else {}),
    }


def _surroundings(base_url: str) -> dict[str, object]:
    from snakemake_executor_plugin_frceapi.client import public_url

    packages = {name: found for name in _PACKAGES if (found := _version(name))}
    return {"url": public_url(base_url), "python": sys.version.split()[0], "system": platform.platform(), **packages}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
