"""What it takes to submit one job once, as a value: another process can do it."""

from __future__ import annotations

from typing import NamedTuple

from snakemake_executor_plugin_frceapi.job_table import JobRow
from snakemake_executor_plugin_frceapi.run_directory import RunDirectory


class Parcel(NamedTuple):
    """One submission on its way; first `intent` is on disk, then the run directory is there, then `body` is posted.

    Attributes:
        token: the submission's token.
        posts: how often its body may have been posted, this time included.
        journal: file of the run's journal.
        intent: the line that says so there.
        run_directory: what its job needs, None where it needs nothing or an earlier run has written it.
        body: the encoded request.
        row: what is listed about its job once the API has taken it.
    """

    token: str
    posts: int
    journal: str
    intent: bytes
    run_directory: RunDirectory | None
    body: bytes
    row: JobRow | None
