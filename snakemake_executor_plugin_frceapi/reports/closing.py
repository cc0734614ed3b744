"""What is written and said as a run ends."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.record import Record
from snakemake_executor_plugin_frceapi.reports.efficiency import advice, has_run, table
from snakemake_executor_plugin_frceapi.reports.summary import summary
from snakemake_executor_plugin_frceapi.reports.timeline import timeline


class Closing:
    """Writes the reports of a run.

    Args:
        settings: the executor's settings.

    Raises:
        SettingsError: a report could not be written where it is wanted.
    """

    def __init__(self, settings: Any) -> None:
        self._threshold = settings.efficiency_threshold
        self._efficiency = None
        if settings.efficiency_report:
            path = settings.efficiency_report_path or Path(time.strftime("efficiency_report_%Y%m%d-%H%M%S.csv"))
            self._efficiency = _place("efficiency-report-path", path)
        self._timeline = _place("timeline", settings.timeline) if settings.timeline else None
        self._title = str(Path.cwd())

    def write(self, records: Sequence[Record]) -> Iterator[str]:
        """Write the reports, and yield the lines for the user.

        Args:
            records: what became of each submission.
        """
        try:
            yield from self._write(records)
        except Exception as error:  # noqa: BLE001 - jobs may have recorded anything, and no report is worth a run
            yield f"A report could not be made: {type(error).__name__}: {error}"

    def _write(self, records: Sequence[Record]) -> Iterator[str]:
        if line := summary(records):
            yield line
        if self._efficiency and any(map(has_run, records)):
            yield _write(self._efficiency, table(records), "What each job used of what it asked for")
            yield from advice(records, self._threshold)
        if self._timeline and records:
            yield _write(self._timeline, timeline(records, self._title, time.time()), "Timeline of all jobs")


def _place(setting: str, path: Path) -> Path:
    """Return where a report is to be written, whatever the working directory is by then."""
    path = Path(path).absolute()
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        why = "is a directory" if path.is_dir() else f"cannot be written: {path.parent} is no directory of yours"
        raise SettingsError(f"--frceapi-{setting}: {path} {why}; name a file in a directory that you can write to.")
    return path


def _write(path: Path, text: str, what: str) -> str:
    """Write a report as a whole or not at all, and return what the user is told of it."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        return f"{path} could not be written: {error.strerror}."
    return f"{what}: {path}"
