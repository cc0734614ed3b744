"""Submissions and policies in which a test names only what it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.policy import Policy
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Graces


def a_submission(token: str = "t", **given: Any) -> Submission:  # noqa: S107 - names a run directory
    """Return a submission of a job of rule map, which makes nothing and writes no run directory."""
    usual: dict[str, Any] = {
        "job_info": None,
        "rule": "map",
        "attempt": 1,
        "works": (),
        "request": JobRequest(partition="norm"),
        "body": token.encode(),
        "log_directory": Path("/logs"),
    }
    return Submission(token=token, **(usual | given))


def a_policy(**given: Any) -> Policy:
    """Return the policy of a run that never gives up the service, and keeps all logs."""
    usual: dict[str, Any] = {
        "graces": Graces(marker=90.0, requeue=600.0, kill_wait=264.0, window=86_400.0),
        "interval_seconds": 10.0,
        "first_delay_seconds": 0.0,
        "connections": 1,
        "unknown_seconds": 60.0,
        "outage_seconds": 1e9,
        "keep_successful_logs": True,
    }
    return Policy(**(usual | given))
