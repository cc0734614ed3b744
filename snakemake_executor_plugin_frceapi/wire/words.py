"""The words of the API and of Slurm: states, error codes, texts that come and go.

One table each, so that no other module compares a word of the service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from snakemake_executor_plugin_frceapi.job import JobState

_STATES: Mapping[str, JobState] = {
    **{state.value: state for state in JobState},
    "COMPLETING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "STOPPED": JobState.SUSPENDED,
    "CONFIGURING": JobState.PENDING,
    "POWER_UP_NODE": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    "REQUEUE_FED": JobState.REQUEUED,
    "REQUEUE_HOLD": JobState.REQUEUED,
    "BF": JobState.BOOT_FAIL,
    "CA": JobState.CANCELLED,
    "CD": JobState.COMPLETED,
    "CF": JobState.PENDING,
    "CG": JobState.RUNNING,
    "DL": JobState.DEADLINE,
    "F": JobState.FAILED,
    "NF": JobState.NODE_FAIL,
    "OOM": JobState.OUT_OF_MEMORY,
    "PD": JobState.PENDING,
    "PR": JobState.PREEMPTED,
    "R": JobState.RUNNING,
    "RQ": JobState.REQUEUED,
    "RS": JobState.RESIZING,
    "RV": JobState.REVOKED,
    "S": JobState.SUSPENDED,
    "SE": JobState.SPECIAL_EXIT,
    "TO": JobState.TIMEOUT,
}
"""Slurm's words for a job's state, long and short: sacct(1) and squeue(1), "JOB STATE CODES"."""

ERRORS: Mapping[str, str] = {
    "postdata_parse_error": "it could not read the request as JSON; run `frceapi doctor --submit` to see which "
    "--frceapi-number-format and --frceapi-memory-unit it understands",
    "postdata_too_big": "the request is over its limit of 4 KB; shorten the job's dependency, or use a shared file "
    "system so that the jobscript stays out of the request",
    "no_partition_given": "the request names no partition; set the resource slurm_partition or --frceapi-partition",
    "bad_partition": "it does not know the partition or takes no API jobs for it; choose another one with the "
    "resource slurm_partition or --frceapi-partition",
    "bad_number_of_tasks": "it does not accept the number of tasks; check the resources tasks, tasks_per_node and "
    "ntasks_per_core",
    "conflicting_mem_specifications": "memory is asked per CPU and per node; set mem_mb or mem_mb_per_cpu, not both",
    "backend_query_malloc_failed": "it ran out of memory itself; the job can be tried again later (--retries)",
    "backend_query_job_submission_failed": "Slurm did not take the job; check that partition, time limit, memory, "
    "CPUs and dependency are allowed there, else try again later (--retries)",
}
"""What each documented error code means and what to do about it."""

TRANSIENT_TEXTS = (
    "timed out",
    "unable to contact slurm controller",
    "communication connection failure",
    "communication shutdown failure",
    "message receive failure",
    "message send failure",
    "unexpected message received",
    "unexpected missing socket",
    "insane message length",
    "header lengths are longer than data received",
    "zero bytes were transmitted",
    "protocol authentication error",
    "standby mode",
    "broken pipe",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "no route to host",
)
"""Parts of Slurm's and the system's texts after which a job may exist all the same: slurm_strerror(3) and strerror(3),
as sbatch prints them."""

NOT_NOW_TEXTS = (
    "temporarily unable to accept job",
    "resource temporarily unavailable",
    "job queue full",
    "unable to create job record, try again",
    "job creation temporarily disabled",
    "requested nodes are busy",
    "rate limit exceeded",
    "failed to connect to authentication agent",
)
"""Parts of Slurm's texts that say no, but only for now: those after which sbatch(1) itself tries again, and two that
come before Slurm has looked at the job."""

SHOWN_CHARACTERS = 200
"""A foreign text in a message is cut to this length."""

_ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?", re.DOTALL)


@lru_cache(maxsize=256)
def state_from_word(word: str) -> JobState:
    """Return the state that a word of the listing means, UNKNOWN when it means nothing.

    A word may carry more, as in ``CANCELLED by 1000``, or be cut, as in ``OUT_OF_ME+`` (sacct(1)).
    """
    first = (word.upper().split() or [""])[0]
    if not first.endswith("+"):
        return _STATES.get(first, JobState.UNKNOWN)
    matches = {state for name, state in _STATES.items() if name.startswith(first[:-1])}
    return matches.pop() if len(matches) == 1 else JobState.UNKNOWN


def printable(text: str, maximum: int = SHOWN_CHARACTERS) -> str:
    """Return a foreign text as one short line: no control characters, no terminal sequences."""
    plain = text[: 20 * maximum]
    if not plain.isprintable():
        plain = "".join(c if c.isprintable() else " " for c in _ESCAPE_SEQUENCE.sub("", plain))
    line = " ".join(plain.split())
    return line if len(line) <= maximum else f"{line[: maximum - 1]}…"
