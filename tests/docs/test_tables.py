"""What the documentation lists is what the code has: settings, resources, commands, messages, options."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache

import click
import pytest
import snakemake.exceptions
from snakemake.cli import get_argument_parser
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from snakemake_executor_plugin_frceapi import ExecutorSettings
from snakemake_executor_plugin_frceapi.cli import main
from snakemake_executor_plugin_frceapi.immediate import MOST_UPSTREAM
from snakemake_executor_plugin_frceapi.lookahead import GATE_MINUTES, OPT_OUT
from snakemake_executor_plugin_frceapi.resources import NOTED, REFUSED, SBATCH_OPTIONS, SENT
from snakemake_executor_plugin_frceapi.resources.table import EXPRESSED
from snakemake_executor_plugin_frceapi.wire.request import MAX_REQUEST_BYTES
from tests.docs.pages import PAGES, ROOT, Page

FURTHER = Page("docs/further.md")
FOREIGN = {"--export", "--slurm-partition-config"}
"""Options of sbatch and of the slurm plugin that help texts name."""

_LIKE_CODE = re.compile(r"--[a-z-]+|[\w./~-]*(?:[_<]|~/)[\w./<>~-]*[\w>]")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")


def settings_table() -> Iterator[str]:
    """Yield the rows of the table of settings as the code has them."""
    for field in fields(ExecutorSettings):
        told = field.metadata
        flag = f"--frceapi-{field.name.replace('_', '-')}"
        value = f"{{{','.join(told['choices'])}}}" if "choices" in told else told.get("metavar", "")
        default = "" if field.default in (None, "") else "off" if field.default is False else f"`{field.default}`"
        text = _LIKE_CODE.sub(lambda match: f"`{match[0]}`", told["help"])
        if told.get("env_var"):
            text += f" Also `SNAKEMAKE_FRCEAPI_{field.name.upper()}`."
        yield f"| `{f'{flag} {value}'.strip()}` | {default} | {text} |"


def test_settings_are_those_of_the_code() -> None:
    """Names, choices, defaults and help texts; what pytest shows as missing is what to paste."""
    assert [f"| {' | '.join(row)} |" for row in FURTHER.rows("Settings")] == list(settings_table())


def test_environment_variable_of_a_setting_is_snakemakes() -> None:
    """Snakemake makes the name of the variable that the table tells."""
    plugin = ExecutorPluginRegistry().get_plugin("frceapi")
    (field,) = [field for field in fields(ExecutorSettings) if field.metadata.get("env_var")]

    assert plugin.get_envvar(field.name) == f"SNAKEMAKE_FRCEAPI_{field.name.upper()}"


def test_resources_are_those_that_mean_something() -> None:
    """The table has each resource that the code reads, with the key that carries it or its fate."""
    told = {name: cells[1] for cells in FURTHER.rows("Resources") for name in re.findall(r"`(\w+)`", cells[0])}
    expected = (
        dict.fromkeys(REFUSED, "refused")
        | dict.fromkeys(NOTED, "left out")
        | {name: f"`{key}`" for name, key in EXPRESSED.items()}
        | dict.fromkeys(("mem", "mem_mib"), "as `mem_mb`")
        | {"mpi": "none", OPT_OUT: "none", "slurm_extra": "of each option"}
    )

    assert told == expected
    assert set(told) == {*SENT, OPT_OUT}


def test_options_of_slurm_extra_are_those_that_are_read() -> None:
    """The row names each long option."""
    (row,) = [cells[2] for cells in FURTHER.rows("Resources") if cells[0] == "`slurm_extra`"]

    assert re.findall(r"`(--[a-z-]+)`", row) == [option for option in SBATCH_OPTIONS if option.startswith("--")]


def test_commands_are_those_of_the_console_command() -> None:
    """The table has each command of ``frceapi``, and no page names another."""
    told = {row[0].strip("`").split()[1] for row in FURTHER.rows("The command frceapi")}
    named = {word for page in PAGES for code in page.code() for word in re.findall(r"\bfrceapi ([a-z][a-z-]+)", code)}

    assert told == set(main.commands)
    assert named <= told


@pytest.mark.parametrize(
    "words",
    [f"more than {MOST_UPSTREAM} others", f"not under {MAX_REQUEST_BYTES:,} bytes", f"{GATE_MINUTES} minutes longer"],
)
def test_numbers_are_those_of_the_code(words: str) -> None:
    """Limits that the text tells have the value of the code."""
    assert words in FURTHER.prose


@cache
def words_of_the_code() -> frozenset[str]:
    """Every text of the package; a value in it is a NUL."""
    found = set()
    for path in sorted((ROOT / "snakemake_executor_plugin_frceapi").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(found)


@pytest.mark.parametrize(
    "message",
    [row[0] for chapter in ("What the messages mean", "When Snakemake was killed") for row in FURTHER.rows(chapter)],
)
def test_message_is_one_that_the_code_says(message: str) -> None:
    """What stands between the dots is a part of a text of the package, or of Snakemake's errors."""
    parts = [part.strip() for part in message.strip("`").split("…") if part.strip()]
    said = words_of_the_code() | {inspect.getsource(snakemake.exceptions)}

    assert parts
    assert [part for part in parts if not any(part in text for text in said)] == []


@cache
def known_options() -> frozenset[str]:
    """The long options of Snakemake with this plugin, of ``frceapi``, and of what ``slurm_extra`` reads."""
    snakemake = {option for action in get_argument_parser()._actions for option in action.option_strings}  # noqa: SLF001
    own = {option for command in main.commands.values() for option in _options(command)}
    return frozenset(snakemake | own | set(SBATCH_OPTIONS) | FOREIGN | {"--help"})


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from parameter.opts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_are_named_exist(page: Page) -> None:
    """A renamed option is found wherever it is written."""
    named = {option for code in page.code() for option in _OPTION.findall(code)}

    assert sorted(named - known_options()) == []
