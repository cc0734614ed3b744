"""Job logs: where they lie, how old ones go, and the lines that a failed job's message shows.

A log is ``<root>/rule_<name>/<wildcards>/<external_jobid>.log``, as users of ``--executor slurm`` know it; ``group_``
stands before the name of a group, and a job without wildcards has no directory for them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._=+,@%-]|\A[.-]")
_LONGEST = 100
_HASH_DIGITS = 12
_PREFIXES = ("rule_", "group_")
_SECONDS_PER_DAY = 86_400
_FAILED_RULE = re.compile(r"Error in rule \S+:")
_TIMESTAMP = re.compile(r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\]")
_LAST_WORDS = "Shutting down, this might take some time."
# ECMA-48: control sequences, then strings up to their terminator, then what is left of two-character escapes.
_ESCAPE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?")


def log_directory(
    root: Path,
    name: str,
    is_group: bool,  # noqa: FBT001  a property of the job, handed on like its name
    wildcards: Mapping[str, str],
) -> Path:
    """The directory of the logs of one job.

    Two jobs of one rule never share a directory unless their wildcards are equal. Each component has at most 100 ASCII
    letters, digits and ``._=+,@%-`` and begins with neither dot nor dash. Other characters become ``_``; a component
    that was changed or cut, or whose parts could be told apart in two ways, ends in ``~`` and a hash.

    Args:
        root: directory of all logs.
        name: name of the rule or group.
        is_group: whether it is a group.
        wildcards: values of the job's wildcards by name, in the rule's order; a group has none.
    """
    directory = root / _component(("group_" if is_group else "rule_") + name, [name])
    if not wildcards:
        return directory
    values = list(wildcards.values())
    ambiguous = len(values) > 1 and any("_" in value or not value for value in values)
    return directory / _component("_".join(values), values, ambiguous=ambiguous)


def remove_old(root: Path, older_than_days: float, now: float) -> int:
    """Remove logs that have not been written to for a while, and each directory that this leaves empty.

    Directories that were empty before stay: a queued job may be about to write there. Only directories in the form
    that `log_directory` gives are entered, so that a `root` that holds other things as well loses none of them; no
    symbolic link is followed or removed. What another process removes at the same time is left to it.

    Args:
        root: directory of all logs; it need not exist.
        older_than_days: age in days; 0 or less removes nothing.
        now: the time in seconds since the epoch.

    Returns:
        How many logs were removed.
    """
    if older_than_days <= 0:
        return 0
    before = now - older_than_days * _SECONDS_PER_DAY
    ours = [entry for entry in _entries(root) if entry.name.startswith(_PREFIXES)]
    return sum(_sweep(Path(entry.path), before) for entry in ours if _is_directory(entry))


def last_lines(path: Path, count: int = 10, max_bytes: int = 65_536) -> list[str]:
    """The last lines of a log, fit to be printed: without blank lines, escape sequences and control characters.

    Of a line that was written over with carriage returns, as progress bars are, the last state is shown. What the
    Snakemake inside a job says last of every failure is left out: it would take the place of what the rule has said.

    Args:
        path: the log.
        count: how many lines at most.
        max_bytes: how much of the log's end is read.

    Returns:
        The lines; none if the log cannot be read.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - max_bytes))
            tail = stream.read(max_bytes)
    except OSError:
        return []
    if size > max_bytes:
        tail = tail.partition(b"\n")[2] or tail
    lines = [line for line in map(_printable, tail.decode("utf-8", "replace").split("\n")) if line.strip()]
    lines = _without_last_words(lines)
    return lines[max(0, len(lines) - count) :]


def _without_last_words(lines: list[str]) -> list[str]:
    """`lines` up to the block that repeats the rule's name, output and command, if Snakemake has ended with it."""
    begin = max((number for number, line in enumerate(lines) if _FAILED_RULE.fullmatch(line)), default=0)
    after = [line for line in lines[begin + 1 :] if not line.startswith(" ")]
    if begin == 0 or not after or after[0] != _LAST_WORDS:
        return lines
    return lines[: begin - 1 if _TIMESTAMP.fullmatch(lines[begin - 1]) else begin] or lines


def _component(text: str, identity: list[str], *, ambiguous: bool = False) -> str:
    """`text` as one component of a path, with a hash of `identity` if `text` alone does not tell it."""
    safe = _UNSAFE.sub("_", text)
    if safe == text and text and len(text) <= _LONGEST and not ambiguous:
        return text
    digest = sha256(json.dumps(identity).encode()).hexdigest()[:_HASH_DIGITS]
    return f"{safe[: _LONGEST - _HASH_DIGITS - 1] or '_'}~{digest}"


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(directory) as entries:
        return list(entries)
    return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir(follow_symlinks=False)
    return False


def _sweep(directory: Path, before: float) -> int:
    """Remove the logs below `directory` that are older than `before`, in seconds since the epoch; return how many."""
    removed = 0
    for entry in _entries(directory):
        if _is_directory(entry):
            removed += _sweep(Path(entry.path), before)
        elif entry.name.endswith(".log"):
            removed += _remove_log(entry, before)
    if removed:
        with suppress(OSError):
            directory.rmdir()
    return removed


def _remove_log(entry: os.DirEntry[str], before: float) -> bool:
    with suppress(OSError):
        if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
            Path(entry.path).unlink()
            return True
    return False


def _printable(line: str) -> str:
    """What a terminal would show of `line`, in characters that change nothing on it."""
    shown = _ESCAPE.sub("", line.rstrip("\r").rpartition("\r")[2])
    return "".join(_characters(shown)).rstrip()


def _characters(text: str) -> Iterator[str]:
    for character in text:
        if character == "\t" or character.isprintable():
            yield character
        elif character.isspace():
            yield " "
