"""From a job's Snakemake resources and threads to a `JobRequest`.

The resources have the names and meanings that users of ``--executor slurm`` know. What the API cannot say is refused
by name when it would change the job, and noted when it only accounts for it; every other resource belongs to Snakemake
or to the workflow and means nothing here.
"""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.resources.extra import OPTIONS as SBATCH_OPTIONS
from snakemake_executor_plugin_frceapi.resources.extra import parse_extra
from snakemake_executor_plugin_frceapi.resources.notices import NoticeBoard
from snakemake_executor_plugin_frceapi.resources.request import Notice, RequestDefaults, build_request
from snakemake_executor_plugin_frceapi.resources.table import NOT_SUMMED, NOTED, REFUSED, SENT, asks_for_something

__all__ = [
    "NOTED",
    "NOT_SUMMED",
    "REFUSED",
    "SBATCH_OPTIONS",
    "SENT",
    "Notice",
    "NoticeBoard",
    "RequestDefaults",
    "asks_for_something",
    "build_request",
    "parse_extra",
]
