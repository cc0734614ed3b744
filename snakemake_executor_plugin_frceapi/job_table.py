"""A table in the log directory that tells which job is which: the API gives every job of a user the same name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_HEAD = ("external_jobid", "rule", "wildcards", "log")


class JobRow(NamedTuple):
    """What stands in a table about a job but its number.

    Attributes:
        table: the file, made with a head if it does not exist.
        rule: name of the rule or group.
        wildcards: the job's wildcards, as `wildcards_text` writes them.
        log_directory: directory of its log.
    """

    table: str
    rule: str
    wildcards: str
    log_directory: str

    def add(self, external_jobid: str) -> None:
        """Add a job that the API has taken; what cannot be written is left out, because no job depends on it.

        Args:
            external_jobid: its number at Slurm.
        """
        row = (external_jobid, self.rule, self.wildcards, f"{self.log_directory}/{external_jobid}.log")
        with suppress(OSError):
            try:
                _append(self.table, row)
            except FileNotFoundError:
                Path(self.table).parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileExistsError):
                    _append(self.table, _HEAD, os.O_CREAT | os.O_EXCL)
                _append(self.table, row)


def job_row(table: Path, rule: str, wildcards: Mapping[str, str], log_directory: Path) -> JobRow:
    """Return what stands in a table about a job, from values as a submission has them."""
    return JobRow(str(table), rule, wildcards_text(wildcards), str(log_directory))


def wildcards_text(wildcards: Mapping[str, str]) -> str:
    """Return wildcards as people read them, such as ``sample=a,unit=1``."""
    return ",".join(f"{name}={value}" for name, value in wildcards.items())


def read_jobs(table: Path) -> dict[str, tuple[str, str, Path]]:
    """Return rule, wildcards and log of each job in a table by external jobid; none where there is no table.

    Of a number that stands there twice, as a sandbox's can, the last row counts.
    """
    try:
        lines = table.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    rows = (line.split("\t") for line in lines[1:])
    return {row[0]: (row[1], row[2], Path(row[3])) for row in rows if len(row) == len(_HEAD)}


def _append(table: str, cells: Iterable[str], flags: int = 0) -> None:
    """Append a row by one write, so that rows of two threads or runs do not mix."""
    row = "\t".join(map(_on_one_line, cells)) + "\n"
    descriptor = os.open(table, os.O_WRONLY | os.O_APPEND | flags, 0o666)
    try:
        os.write(descriptor, row.encode("utf-8", "backslashreplace"))
    finally:
        os.close(descriptor)


def _on_one_line(cell: str) -> str:
    return cell if cell.isprintable() else "".join(c if c.isprintable() else "?" for c in cell)
