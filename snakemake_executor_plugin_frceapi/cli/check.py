"""The console command ``frceapi check``: which jobs of a workflow would be refused, told before any is submitted."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.inspection import Finding, Inspected


@click.command("check", context_settings={"allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def check_command(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Tell which jobs of a workflow would be refused.

    ARGUMENTS (after --) are those of snakemake. The jobs are those of a dry run: nothing is submitted or run.
    The exit code is 1 if a job would be refused or Snakemake cannot plan the workflow, else 0.

    Example:  frceapi check -- --profile profiles/frce
    """
    inspected = _inspect(arguments[1:] if arguments[:1] == ("snakemake",) else arguments)
    if inspected is None:
        context.exit(1)
    for line in _report(inspected):
        click.echo(line)
    context.exit(1 if any(finding.problem for finding in inspected.findings) else 0)


def _inspect(arguments: Sequence[str]) -> Inspected | None:
    """Let Snakemake plan the workflow and look at the jobs; None: it could not, and has said why."""
    try:
        from snakemake.cli import args_to_api, parse_args
        from snakemake.settings.enums import Quietness
    except ImportError as error:
        raise click.ClickException(f"check needs {error.name}; pip install snakemake") from None
    from snakemake_executor_plugin_frceapi.inspection import Inspected

    parser, parsed = parse_args(list(arguments))
    parsed.executor, parsed.dryrun, parsed.nolock = "frceapi", True, True
    parsed.quiet = set(Quietness) - {Quietness.ALL}  # ALL would hide errors as well
    parsed.jobs = parsed.jobs or 1
    parsed.cores = parsed.cores or sys.maxsize  # a dry run would count on one, whatever a rule asks for
    try:
        _put_in_place_of_dry_run(parsed)
        done = args_to_api(parsed, parser)
    except Inspected as inspected:
        return inspected
    if done:
        raise click.ClickException("these arguments run no job; leave out what Snakemake would do instead")
    return None


def _put_in_place_of_dry_run(parsed: Any) -> None:
    """Let Snakemake build our executor that only looks, where it would build that of a dry run."""
    from snakemake_interface_common.exceptions import ApiError
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
    from snakemake_interface_executor_plugins.registry.plugin import Plugin

    from snakemake_executor_plugin_frceapi.inspection import inspector
    from snakemake_executor_plugin_frceapi.settings import common_settings

    registry = ExecutorPluginRegistry()
    try:
        settings = registry.get_plugin("frceapi").get_settings(parsed)
    except ApiError as error:
        raise click.ClickException(str(error)) from None
    registry.plugins["dryrun"] = Plugin(
        executor=inspector(settings),
        common_settings=replace(common_settings, dryrun_exec=True),
        _executor_settings_cls=None,
        _name="dryrun",
    )


def _report(inspected: Inspected) -> Iterator[str]:
    findings = inspected.findings
    refused = [(finding.name, finding.problem) for finding in findings if finding.problem]
    unknown = [(finding.name, _unknown(finding)) for finding in findings if finding.unknown]
    notices = [
        (f"{notice.key} {notice.rule}", f"rule {notice.rule}: {notice.text}")
        for finding in findings
        for notice in finding.notices
    ]
    for kind, lines in (("refused", refused), ("cannot be known yet", unknown), ("note", notices)):
        for line in _first_of_each(lines):
            yield f"{kind}: {line}"
    if inspected.checkpoints:
        yield "note: jobs that follow from a checkpoint are known only after it has run"
    yield f"Jobs that would be refused: {len(refused)} of {len(findings)}."


def _unknown(finding: Finding) -> str:
    return f"{finding.name}: {', '.join(finding.unknown)}, until the input files are there"


def _first_of_each(lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield, of lines with what they are about, the first about each thing, and how many there are."""
    for about, number in sorted(Counter(about for about, _ in lines).items()):
        first, *others = dict.fromkeys(line for other, line in lines if other == about)
        alike = ", others likewise" if others else ""
        yield first + (f" ({number} jobs{alike})" if number > 1 else "")
