"""The console command ``frceapi``."""

from __future__ import annotations

import click

from snakemake_executor_plugin_frceapi.sandbox.command import sandbox_command


@click.group()
@click.version_option(package_name="snakemake-executor-plugin-frceapi", prog_name="frceapi")
def main() -> None:
    """Tools around the Snakemake executor plugin frceapi."""


main.add_command(sandbox_command)
