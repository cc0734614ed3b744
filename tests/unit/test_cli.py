"""The console command: what it offers, and what it says when a part is missing."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from snakemake_executor_plugin_frceapi.cli import main


def test_lists_its_commands() -> None:
    """The help text names each command."""
    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    commands = ("cancel", "check", "convert-profile", "doctor", "jobs", "log", "partitions", "sandbox", "submit")
    assert [command for command in commands if f"  {command} " not in result.output] == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_shows_an_example_of_each_command(name: str) -> None:
    """The help text of each command ends with a line that can be typed."""
    result = CliRunner().invoke(main, [name, "--help"])

    assert result.exit_code == 0
    assert f"Example: frceapi {name}" in " ".join(result.output.split())


def test_shows_the_version_of_the_package() -> None:
    """The version is that of the installed distribution."""
    result = CliRunner().invoke(main, ["--version"])

    assert importlib.metadata.version("snakemake-executor-plugin-frceapi") in result.output


def test_refuses_an_unknown_command() -> None:
    """A command that does not exist is an error that names it."""
    result = CliRunner().invoke(main, ["no-such-command"])

    assert result.exit_code == 2
    assert "no-such-command" in result.output


def partitions(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run ``frceapi partitions``; return its exit code and what it prints."""
    known = {"SNAKEMAKE_FRCEAPI_URL": None, "SNAKEMAKE_SLURM_PARTITIONS": None, "COLUMNS": "80"}
    result = CliRunner().invoke(main, ["partitions", *arguments], env={**known, **environment})
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (80, ["partition norm short unlimited largemem gpu", "time limit 5 d 30 min - - -", "GPUs - - - - 40"]),
        (160, ["norm 5 d 5 d - 600 20,000 - -", "largemem - - 3,145,728 192 16,000 - if named"]),
    ],
)
def test_shows_frces_partitions_in_the_width_of_the_terminal(columns: int, lines: list[str]) -> None:
    """One line a partition where these fit, else one column a partition; no number is ever cut."""
    exit_code, output = partitions(COLUMNS=str(columns))

    shown = [" ".join(line.split()) for line in output.splitlines()]
    assert exit_code == 0
    assert [line for line in lines if line not in shown] == []
    assert max(map(len, output.split("A job with")[0].splitlines())) <= columns
    assert "moved: up to 30 min to short, up to 5 d to norm, longer to unlimited." in output
    assert "(September 2026)" in output
    assert re.search(r"Written in: .*frce\.yaml\n", output)


def test_shows_a_table_of_ones_own(tmp_path: Path) -> None:
    """A file that is named, by option or by the slurm plugin's variable, is shown with what it has and no more."""
    file = tmp_path / "table.yaml"
    file.write_text("partitions: {a: {max_runtime: 2-12:30:00, supports_mpi: false, max_nodes: .inf}, b: {max_gpu: 2}}")
    wanted = (0, ["partition time limit GPUs MPI", "a 2 d 12 h 30 min - no", "b - 2 -", f"Written in: {file}"])
    for arguments, environment in ((["--config", str(file)], {}), ([], {"SNAKEMAKE_SLURM_PARTITIONS": str(file)})):
        exit_code, output = partitions(*arguments, **environment, COLUMNS="400")

        lines = [" ".join(line.split()) for line in output.splitlines()]
        assert (exit_code, [line for line in lines if line and not line.startswith("─")]) == wanted


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--config", "absent.yaml"], {}, "Error: --config: the partition file 'absent.yaml' cannot be read"),
        ([], {"SNAKEMAKE_FRCEAPI_URL": "http://127.0.0.1:1/"}, "'--config frce' for FRCE's own"),
    ],
)
def test_tells_why_there_is_no_table(arguments: list[str], environment: dict[str, str], words: str) -> None:
    """A file that cannot be read, and a service of which nothing is known, are one line."""
    exit_code, output = partitions(*arguments, **environment)

    assert exit_code == 1
    assert words in " ".join(output.split())
    assert "Traceback" not in output


def test_check_needs_snakemake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Snakemake is not installed, which the package does without, the command says so."""
    monkeypatch.setitem(sys.modules, "snakemake.cli", None)
    result = CliRunner().invoke(main, ["check"])

    assert result.exit_code == 1
    assert "check needs snakemake.cli; pip install snakemake" in result.output
