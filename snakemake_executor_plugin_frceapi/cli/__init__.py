"""The console command ``frceapi``.

Each command has a module of its own, which imports what it needs when the command is called: the help text comes at
once, and without the extras.
"""

from __future__ import annotations

import click

from snakemake_executor_plugin_frceapi.cli.cancel import cancel_command
from snakemake_executor_plugin_frceapi.cli.check import check_command
from snakemake_executor_plugin_frceapi.cli.convert_profile import convert_profile_command
from snakemake_executor_plugin_frceapi.cli.doctor import doctor_command
from snakemake_executor_plugin_frceapi.cli.jobs import jobs_command
from snakemake_executor_plugin_frceapi.cli.log import log_command
from snakemake_executor_plugin_frceapi.cli.partitions import partitions_command
from snakemake_executor_plugin_frceapi.cli.submit import submit_command
from snakemake_executor_plugin_frceapi.sandbox.command import sandbox_command


@click.group()
@click.version_option(package_name="snakemake-executor-plugin-frceapi", prog_name="frceapi")
def main() -> None:
    """Tools around the Snakemake executor plugin frceapi."""


for command in (
    cancel_command,
    check_command,
    convert_profile_command,
    doctor_command,
    jobs_command,
    log_command,
    partitions_command,
    sandbox_command,
    submit_command,
):
    main.add_command(command)
