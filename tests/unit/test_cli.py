"""The console command: what it offers, and what it says when a part is missing."""

from __future__ import annotations

import importlib.metadata

from click.testing import CliRunner

from snakemake_executor_plugin_frceapi.cli import main


def test_lists_its_commands() -> None:
    """The help text names each command."""
    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    assert "sandbox" in result.output


def test_shows_the_version_of_the_package() -> None:
    """The version is that of the installed distribution."""
    result = CliRunner().invoke(main, ["--version"])

    assert importlib.metadata.version("snakemake-executor-plugin-frceapi") in result.output


def test_refuses_an_unknown_command() -> None:
    """A command that does not exist is an error that names it."""
    result = CliRunner().invoke(main, ["no-such-command"])

    assert result.exit_code == 2
    assert "no-such-command" in result.output
