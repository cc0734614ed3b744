"""The console command ``frceapi log``: what a job has printed."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from snakemake_executor_plugin_frceapi.cli.jobs import logdir_option
from snakemake_executor_plugin_frceapi.cli.service import one_line

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.overview import KnownJob, Workplace

_PAUSE_SECONDS = 0.5


@click.command("log")
@click.argument("jobid", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended, or until Ctrl-C.")
@logdir_option
def log_command(jobid: str, follow: bool, logdir: Path | None) -> None:
    """Print the log of a job of this directory.

    ID is its number at Slurm, as `frceapi jobs` shows it. With -f the log of a job that still waits is waited for.
    The API is not asked.

    Example:  frceapi log -f 46185772
    """
    from snakemake_executor_plugin_frceapi.overview import Workplace

    with one_line():
        place = Workplace(Path(".snakemake"), logdir)
        job = place.jobs().get(jobid)
    if job is None:
        raise click.ClickException(
            f"job {jobid} is none of this directory's; go to the directory of its workflow, or name --logdir as its "
            "run did"
        )
    if job.spool is not None and not job.spool.is_shared:
        raise click.ClickException(f"the log of job {jobid} is on the cluster: {job.log}")
    if not follow and not job.log.exists():
        raise click.ClickException(_absent(place, job))
    with suppress(KeyboardInterrupt):
        seen = _copy(job.log, sys.stdout.buffer, lambda: not follow or place.is_over(job))
        if not seen:
            raise click.ClickException(_absent(place, job))


def _absent(place: Workplace, job: KnownJob) -> str:
    if place.is_over(job):
        return f"{job.log} is gone; logs of jobs that succeeded are kept with --frceapi-keep-successful-logs"
    return f"job {job.external_jobid} has not begun; -f waits for it"


def _copy(path: Path, out: IO[bytes], is_over: Callable[[], bool]) -> bool:
    """Copy a file while it grows, and what was added until it was seen to be over; return whether there was one.

    It is held open, because the log of a job that succeeds is removed.
    """
    with ExitStack() as stack:
        file: IO[bytes] | None = None
        over = False
        while not over:
            over = is_over()
            if file is None:
                with suppress(FileNotFoundError):
                    file = stack.enter_context(path.open("rb"))
            if file is not None:
                shutil.copyfileobj(file, out)
                out.flush()
            if not over:
                time.sleep(_PAUSE_SECONDS)
    return file is not None
