"""Snakemake as a process that ends at a step of a test's choice, as SIGKILL would end it.

Usage: ``dying_snakemake.py STEP NUMBER ARGUMENT...``; it dies when it makes the step for so many times.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from snakemake_executor_plugin_frceapi import assembly, private_files
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.journal_file import JournalFile
from snakemake_executor_plugin_frceapi.run_directory import RunDirectory
from tests.carrying import carried

EXIT_CODE = 9


class Fuse:
    """Ends the process.

    Args:
        step: at which step.
        number: when it is made for so many times.
    """

    def __init__(self, step: str, number: int) -> None:
        self._step = step
        self._left = number

    def step(self, name: str) -> None:
        """Make a step."""
        if self.burns(name):
            os._exit(EXIT_CODE)

    def burns(self, name: str) -> bool:
        """Make a step, and return whether it is the last one."""
        self._left -= name == self._step
        return not self._left


def around(function: Callable[..., Any], name: str, fuse: Fuse) -> Callable[..., Any]:
    """Return a function with a step before it and one after it."""

    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        fuse.step(f"before {name}")
        result = function(*arguments, **keywords)
        fuse.step(f"after {name}")
        return result

    return stand_in


def arm(fuse: Fuse) -> None:
    """Make each line of the journal, each run directory with its files, and each post a step, in this process."""
    append = JournalFile.append

    def append_or_die(file: JournalFile, *lines: bytes) -> None:
        for line in lines:
            event = json.loads(line)["event"]
            if fuse.burns(f"half of {event}"):
                append(file, line[: len(line) // 2])
                os._exit(EXIT_CODE)
            append(file, line)
            fuse.step(event)

    JournalFile.append = append_or_die  # type: ignore[method-assign,assignment]
    RunDirectory.write = around(RunDirectory.write, "a directory", fuse)  # type: ignore[method-assign]
    private_files.write_file = around(private_files.write_file, "a file", fuse)
    Client.submit_job = around(Client.submit_job, "a post", fuse)  # type: ignore[method-assign]
    vars(assembly)["Courier"] = carried  # the real one would end with Snakemake, at whatever step


if __name__ == "__main__":
    from snakemake.cli import main

    arm(Fuse(sys.argv[1], int(sys.argv[2])))
    main(sys.argv[3:])
