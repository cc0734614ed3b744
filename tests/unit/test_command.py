"""Tests of the job command: a program gets what Snakemake meant, and no value is executed."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.scheduling.job_scheduler import JobRateLimiter
from snakemake.settings.types import MaxJobsPerTimespan
from snakemake_interface_executor_plugins.utils import format_cli_arg, is_quoted

from snakemake_executor_plugin_frceapi.command import UNHINDERED, JobArguments, quote, requote, words

NASTY = [
    "plain",
    "",
    " ",
    "two words",
    "  leading and trailing  ",
    "it's",
    'say "hi"',
    "both ' and \"",
    "$(touch executed)",
    "`touch executed`",
    "it's $(touch executed) and `touch executed`",
    "a; touch executed",
    "a && touch executed",
    "a\ntouch executed\n",
    "tab\there",
    "back\\slash",
    "ends in a backslash\\",
    "\\n is not a newline",
    "$HOME ${HOME} ~ * ? [a-z] {1,2} !!",
    "a=b c=d",
    "-n",
    "--flag=it's",
    "#no comment",
    "Größe, 日本語, \U0001f9ec",
    "no\u00a0break, line\u2028separator, \x1b[31mred",
    "\udcff is no UTF-8",
    "carriage\rreturn",
]

# What Snakemake takes for quoted already it hands on as it is; and no argument of a program holds a NUL.
characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from(
    "'\"\\$`\n \udc80\udcff"
)
strings = st.text(characters, max_size=12).filter(lambda text: not is_quoted(text))
paths = st.text(characters, min_size=1, max_size=12).filter(lambda text: "\\" not in text).map(Path)


def formatted(values: object) -> str:
    """An argument string as Snakemake makes it of values."""
    text = format_cli_arg("--flag", values)
    assert isinstance(text, str)
    return text


def split_by_bash(line: str, directory: Path) -> list[str]:
    """The arguments that a program gets when bash runs `line` behind its name."""
    script = directory / "line.sh"
    script.write_bytes(os.fsencode(f"printf '%s\\0' {line}"))
    done = subprocess.run(["bash", str(script)], cwd=directory, capture_output=True, check=True)
    assert done.stderr == b""
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


def test_hands_each_nasty_value_over_unchanged(tmp_path: Path) -> None:
    """Strings that Snakemake formats arrive in a program as they were, and no value is executed."""
    assert split_by_bash(requote(formatted(NASTY)), tmp_path) == ["--flag", *NASTY]
    assert [path.name for path in tmp_path.iterdir()] == ["line.sh"]


def test_hands_each_nasty_path_over_unchanged(tmp_path: Path) -> None:
    """Paths, which Snakemake quotes for a shell and not as Python does, arrive as they were."""
    values = [Path("/data") / text for text in NASTY if "\\" not in text]

    assert split_by_bash(requote(formatted(values)), tmp_path) == ["--flag", *map(str, values)]


@settings(max_examples=60)
@given(values=st.lists(strings | paths, min_size=1, max_size=6))
def test_hands_any_values_over_unchanged(values: list[str | Path], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever strings and paths Snakemake formats, bash splits the line back into exactly these."""
    line = requote(formatted(values))

    assert split_by_bash(line, tmp_path_factory.mktemp("any")) == ["--flag", *map(str, values)]


@given(st.lists(strings | paths, min_size=1))
def test_splits_what_snakemake_joined(values: list[str | Path]) -> None:
    """`words` undoes Snakemake's formatting."""
    assert words(formatted(values)) == ["--flag", *map(str, values)]


@given(st.text(characters))
def test_quotes_any_text_at_all(text: str) -> None:
    """Any text, also one that Snakemake would never make, gives words that a shell reads back as they are."""
    assert shlex.split(requote(text)) == words(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n ", []),
        ("--cores 4", ["--cores", "4"]),
        ("--rerun-triggers 'code' 'input'", ["--rerun-triggers", "code", "input"]),
        ('--config "it\'s=$(x)"', ["--config", "it's=$(x)"]),
        (r"'a\nb'", ["a\nb"]),
        (r"'a\x1bb' '\u2028' '\U0001f9ec'", ["a\x1bb", "\u2028", "\U0001f9ec"]),
        (r"'a\d b'", [r"a\d b"]),
        (r"'a\xb' '\U99999999'", [r"a\xb", r"\U99999999"]),
        ("'two\nlines'", ["two\nlines"]),
        ("'it'\"'\"'s'", ["it's"]),
        (r"a\ b", ["a b"]),
        ("a'b c'd", ["ab cd"]),
        ("'a' 'b", ["a", "'", "b"]),
        ('"open', ['"', "open"]),
        ("trailing\\", ["trailing", "\\"]),
    ],
)
def test_reads_each_spelling(text: str, expected: list[str]) -> None:
    """Bare words, Python literals and shell-quoted words are told apart; what is neither stands for itself."""
    assert words(text) == expected


def test_quotes_words_for_a_shell(tmp_path: Path) -> None:
    """`quote` makes one line of words in which each stands for itself."""
    assert split_by_bash(quote(NASTY), tmp_path) == NASTY
    assert quote([]) == ""


ARGUMENTS = JobArguments(
    target_jobs=["map:sample=A 1"],
    rules=["map"],
    local_groupid=None,
    cores="all",
    attempt=2,
    unneeded_temp_files=[],
    wait_for_files=[],
)
ONCE = ["--preemptible-rules", "--preemptible-retries", "0"]


def test_names_a_single_job() -> None:
    """A single job's arguments name its target, rule, cores and attempt, and forbid the spawned Snakemake retries."""
    expected = ["--target-jobs", "map:sample=A 1", "--allowed-rules", "map", "--force-use-threads"]

    assert shlex.split(ARGUMENTS.line()) == [*expected, *UNHINDERED, "--cores", "all", "--attempt", "2", *ONCE]


def test_a_single_job_keeps_its_snakemake_no_longer_than_it_takes() -> None:
    """Snakemake reads the timespan as none, which it waits for before it ends, and lets the job begin."""
    limit = MaxJobsPerTimespan.parse_choice(UNHINDERED[1])

    assert limit.timespan == 0
    assert JobRateLimiter(limit).get_free_jobs() > 0


def test_names_the_file_that_lists_what_to_wait_for() -> None:
    """A long list of files stands in a file, which is named instead."""
    line = replace(ARGUMENTS, wait_for_files_file="/my spool/files").line()

    assert shlex.split(line)[-2:] == ["--wait-for-files-file", "/my spool/files"]


def test_names_a_group_job_with_its_files(tmp_path: Path) -> None:
    """A group job brings its id instead of --force-use-threads, and all files pass unchanged."""
    arguments = JobArguments(
        target_jobs=["a:x=$(touch executed)", "b:"],
        rules=["a", "b"],
        local_groupid="7",
        cores="3",
        attempt=1,
        unneeded_temp_files=["it's temp", "b"],
        wait_for_files=NASTY,
    )

    assert split_by_bash(arguments.line(), tmp_path) == [
        *("--target-jobs", "a:x=$(touch executed)", "b:", "--allowed-rules", "a", "b", "--local-groupid", "7"),
        *("--cores", "3", "--attempt", "1", *ONCE),
        *("--unneeded-temp-files", "it's temp", "b", "--wait-for-files", *NASTY),
    ]
