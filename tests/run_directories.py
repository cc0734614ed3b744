"""What the run directories of jobs show to tests."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.run_directory import RunDirectory
from snakemake_executor_plugin_frceapi.spool import Spool

_PEAKS = ".snakemake/frceapi/*/jobs/*/peak"
"""The files below a working directory in which running jobs note their memory."""


def a_run_directory(
    spool: Spool,
    token: str,
    jobscript: str = "true\n",
    name: str = "job",
    *,
    gated: bool = False,
    **settings: Any,
) -> RunDirectory:
    """Return the run directory of a submission, which a test can write.

    Args:
        spool: where it is to be.
        token: the submission's token.
        jobscript: text of its jobscript.
        name: file name of that.
        gated: whether the job waits at its gate.
        settings: what the run script is told, where it matters.
    """
    directory = spool.job_directory(token)
    usual: dict[str, Any] = {"log_directory": directory, "workdir": directory, "command": ["true"]}
    known = RunSettings(directory=directory, done=spool.done_entry(token), **(usual | settings))
    return spool.run_directory(token, name, jobscript, known.render(), gated=gated)


def has_recorded_no_end(script: str) -> bool:
    """Return whether the job of a script that was submitted has a run directory, in which there is no end."""
    found = re.search(r"^d=(.+)$", script, re.MULTILINE)
    directory = Path(*shlex.split(found[1])) if found else None
    return directory is not None and directory.exists() and not any(directory.glob("end.*"))


def order_in(control: Path) -> str:
    """Return the order that a file ``control`` holds in its first line."""
    mark, order = control.read_text("utf-8").partition("\n")[0].split()
    assert mark == "#"
    return order


def until_peak_mb(megabytes: int) -> str:
    """Return lines of Python for a job: it waits until so much of its memory was noted, for a minute at most."""
    return f"""\
import glob, time
for _ in range(600):
    if any(int(open(path).read()[3:] or 0) >= {megabytes << 10} for path in glob.glob({_PEAKS!r})):
        break
    time.sleep(0.1)
"""
