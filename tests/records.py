"""Records of jobs as a test wants them."""

from __future__ import annotations

from typing import Any

from snakemake_executor_plugin_frceapi.job import JobRequest, Usage
from snakemake_executor_plugin_frceapi.record import Fate, Record

REQUEST = JobRequest(partition="norm", cpus_per_task=4, mem_mb_per_node=1000, time_limit_minutes=10)


def record(work: str = "a.txt", **changes: Any) -> Record:
    """Return the record of a job that waited 10 s, ran 5 s on one of four CPUs and held 300 of 1,000 MB.

    Args:
        work: the file that it makes.
        changes: fields that are to be otherwise.
    """
    facts = {
        "rule": "map",
        "members": ("map",),
        "wildcards": "sample=A",
        "attempt": 1,
        "went_ahead": False,
        "external_jobid": "101",
        "request": REQUEST,
        "log": "/logs/101.log",
        "fate": Fate.SUCCEEDED,
        "submitted": 1000.0,
        "started": 1010.0,
        "begun": 1010.0,
        "ended": 1015.0,
        "cpu_seconds": 5.0,
        "usage": Usage(node="cn1", peak_mb=300, measured_by="samples"),
    }
    return Record(work=(work,), **{**facts, **changes})
