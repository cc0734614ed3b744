"""The job command: the shell line that Snakemake wants run, quoted so that no value of a workflow is code.

Snakemake quotes values of its own command lines with Python's ``repr``. A shell reads that differently: a value with a
single quote in it arrives in double quotes, where ``$(…)`` and backticks still run. So every word is quoted anew.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SPACE = re.compile(r"\s+")
# Only what `repr` writes: it escapes what is not printable, while a shell-quoted path holds that, and its backslashes.
_ESCAPE = r"""\\(?:[\\'nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})"""
_PRINTABLE = r"[^{quote}\\\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_PYTHON_LITERAL = re.compile(
    "(?:" + "|".join(f"{quote}(?:{_PRINTABLE.format(quote=quote)}|{_ESCAPE})*{quote}" for quote in "'\"") + r")(?=\s|$)"
)
_SHELL_WORD = re.compile(r"""(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+|\S""", re.DOTALL)


def words(text: str) -> list[str]:
    """Split an argument string of Snakemake's into the values that it stands for.

    Args:
        text: arguments joined by blanks, each a bare word, a Python string literal or a shell-quoted word.

    Returns:
        The arguments as a program should receive them.
    """
    found = []
    position = 0
    while position < len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
            continue
        literal = _PYTHON_LITERAL.match(text, position)
        match = literal or _SHELL_WORD.match(text, position)
        assert match is not None  # `\S` takes whatever the other alternatives leave
        found.append(str(ast.literal_eval(match[0])) if literal else _unquote(match[0]))
        position = match.end()
    return found


def quote(arguments: Iterable[str]) -> str:
    """Join arguments into a shell line in which each stands for itself and nothing else."""
    return " ".join(map(shlex.quote, arguments))


def requote(text: str) -> str:
    """Quote an argument string of Snakemake's anew, for a POSIX shell."""
    return quote(words(text))


UNHINDERED = ("--max-jobs-per-timespan", "100/0s")
"""A spawned Snakemake looks whether more may begin when the timespan is over, a second, and does not end before that.
Where a single job is all that there is to do, nothing is limited by it; in a group, jobs may wait for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobArguments:
    """What tells a spawned Snakemake which job it is.

    Attributes:
        target_jobs: the jobs as ``--target-jobs`` spells them.
        rules: their rules.
        local_groupid: the group job's own id, None for a single job.
        cores: cores to use, a number or ``all``.
        attempt: which attempt this is.
        unneeded_temp_files: temporary files that nobody needs once the job has ended.
        wait_for_files: files that the job must be able to see before it begins.
        wait_for_files_file: a file that lists them instead, one a line.
    """

    target_jobs: Sequence[str]
    rules: Iterable[str]
    local_groupid: str | None
    cores: str
    attempt: int
    unneeded_temp_files: Sequence[str]
    wait_for_files: Sequence[str]
    wait_for_files_file: str | None = None

    def line(self) -> str:
        """Return the arguments, quoted for a POSIX shell.

        A rule's own ``retries:`` would be honoured again by the spawned Snakemake, ``--retries 0`` or not; as a
        preemptible rule with no retries it is run once.
        """
        words = ["--target-jobs", *self.target_jobs, "--allowed-rules", *self.rules]
        words += ["--local-groupid", self.local_groupid] if self.local_groupid else ["--force-use-threads", *UNHINDERED]
        words += ["--cores", self.cores, "--attempt", str(self.attempt)]
        words += ["--preemptible-rules", "--preemptible-retries", "0"]
        for flag, files in (
            ("--unneeded-temp-files", self.unneeded_temp_files),
            ("--wait-for-files", self.wait_for_files),
        ):
            words += [flag, *files] if files else []
        words += ["--wait-for-files-file", self.wait_for_files_file] if self.wait_for_files_file else []
        return quote(words)


def _unquote(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:
        return word
