"""A process that is killed at a step of a test's choice, in the test's own process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from snakemake_executor_plugin_frceapi import private_files, run_directory
from snakemake_executor_plugin_frceapi.journal_file import JournalFile


class Died(BaseException):
    """The process was killed: nothing in it catches that."""


@dataclass
class Fuse:
    """Ends the process at one of its steps.

    Attributes:
        at: at which, from 0; None: at none.
        passed: names of the steps that were made, the last one included.
    """

    at: int | None = None
    passed: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        """Make a step.

        Raises:
            Died: it was the last one.
        """
        if self.burns(name):
            raise Died(name)

    def burns(self, name: str) -> bool:
        """Make a step, and return whether it is the last one."""
        self.passed.append(name)
        return self.at == len(self.passed) - 1


@contextmanager
def mortal(fuse: Fuse, on_line: Callable[[dict[str, Any]], None] = lambda _: None) -> Iterator[None]:
    """Make each write of a journal, each file of a run directory and each removal a step, done in part and as a whole.

    Args:
        fuse: where the process dies.
        on_line: is given each line that is whole in a journal.
    """
    append, write_file, remove = JournalFile.append, private_files.write_file, run_directory.remove

    def append_or_die(file: JournalFile, *lines: bytes) -> None:
        for line in lines:
            said = json.loads(line)
            if fuse.burns(f"half of {said['event']}"):
                append(file, line[: len(line) // 2])
                raise Died
            append(file, line)
            on_line(said)
            fuse.step(said["event"])

    def write_or_die(path: Path, content: str | bytes) -> None:
        if fuse.burns(f"{path.name} is empty"):
            write_file(path, "")
            raise Died
        write_file(path, content)
        fuse.step(path.name)

    def remove_or_die(path: Path) -> None:
        fuse.step("before a removal")
        if fuse.burns("half of a removal"):
            with patch.object(shutil, "rmtree", _remove_half):
                remove(path)
            raise Died
        remove(path)
        fuse.step("removed")

    with (
        patch.object(JournalFile, "append", append_or_die),
        patch.object(private_files, "write_file", write_or_die),
        patch.object(run_directory, "remove", remove_or_die),
    ):
        yield


def release_files(directory: Path) -> None:
    """Close all files below a directory, as the kernel does for a dead process, and with them give up their locks."""
    for link in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            if link.readlink().is_relative_to(directory):
                os.close(int(link.name))


def _remove_half(directory: Path, *, ignore_errors: bool) -> None:
    for path in sorted(directory.glob("*"))[::2]:
        path.unlink(missing_ok=ignore_errors)
