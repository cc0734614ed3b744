"""Snakemake as a process that ends at a step of a test's choice, as SIGKILL would end it.

Usage: ``dying_snakemake.py STEP NUMBER ARGUMENT...``; it dies when it makes the step for so many times.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from snakemake_executor_plugin_frceapi import private_files
from snakemake_executor_plugin_frceapi.client import ServiceProcess
from snakemake_executor_plugin_frceapi.journal import Journal
from snakemake_executor_plugin_frceapi.spool import Spool

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
    """Make each line of the journal, each run directory with its files, and each post a step."""
    append = Journal._append  # noqa: SLF001 - what is cut

    def append_or_die(journal: Journal, line: dict[str, Any]) -> None:
        descriptor = journal._descriptor  # noqa: SLF001 - the line is cut
        size = os.fstat(descriptor).st_size
        append(journal, line)
        if fuse.burns(f"half of {line['event']}"):
            os.ftruncate(descriptor, (size + os.fstat(descriptor).st_size) // 2)
            os._exit(EXIT_CODE)
        fuse.step(line["event"])

    Journal._append = append_or_die  # type: ignore[method-assign,assignment]  # noqa: SLF001
    Spool.write_job = around(Spool.write_job, "a directory", fuse)  # type: ignore[method-assign]
    private_files.write_file = around(private_files.write_file, "a file", fuse)
    ServiceProcess.submit_job = around(ServiceProcess.submit_job, "a post", fuse)  # type: ignore[method-assign]


if __name__ == "__main__":
    from snakemake.cli import main

    arm(Fuse(sys.argv[1], int(sys.argv[2])))
    main(sys.argv[3:])
