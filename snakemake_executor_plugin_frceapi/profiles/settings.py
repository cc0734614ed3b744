"""What becomes of each setting of the slurm plugin (2.8)."""

from __future__ import annotations

MAPPED = (
    "logdir",
    "keep_successful_logs",
    "delete_logfiles_older_than",
    "init_seconds_before_status_checks",
    "partition_config",
    "efficiency_report",
    "efficiency_report_path",
    "efficiency_threshold",
)
"""Settings that this plugin has under the same name and with the same meaning."""

_ARRAYS = "the API has no job arrays; each job is submitted by itself"
_REQUEUE = "the API has no key for it; a job that the cluster itself starts again is waited for (frceapi-requeue-grace)"

WITHOUT_MEANING = {
    "array_jobs": _ARRAYS,
    "array_limit": _ARRAYS,
    "disable_memory_fudge": _ARRAYS,
    "requeue": _REQUEUE,
    "no_requeue": _REQUEUE,
    "exclude_failed_nodes": "the API has no key for nodes",
    "no_account": "the API has no key for accounts, so jobs never name one",
    "jobname_prefix": "the API has no key for names; a job takes that of its rule and wildcards as it starts",
    "status_command": "the API itself is asked, once for all jobs",
    "status_attempts": "the API is asked again until frceapi-outage-tolerance is over",
    "qos": "the API has no key for it, so jobs get your default",
    "reservation": "the API has no key for it, so jobs wait in the queue as others do",
    "pass_command_as_script": "a job command is never on a command line; it waits in the run directory",
}
"""Other settings → why they have no meaning here, as a clause."""
