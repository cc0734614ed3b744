"""What the state in a listing means for a job: the one place that sorts all of Slurm's states."""

from __future__ import annotations

from enum import Enum, unique

from snakemake_executor_plugin_frceapi.job import JobState


@unique
class Standing(Enum):
    """How a job stands by the last valid listing."""

    LIVE = "waiting, running or an unknown word"
    REQUEUED = "requeued"
    COMPLETED = "completed"
    FINAL = "final, and not completed"
    MAY_RETURN = "ended for a reason after which Slurm may start it again"
    ABSENT = "not listed"
    NEVER = "no valid listing"


STANDINGS = {
    JobState.PENDING: Standing.LIVE,
    JobState.RUNNING: Standing.LIVE,
    JobState.SUSPENDED: Standing.LIVE,
    JobState.RESIZING: Standing.LIVE,
    JobState.UNKNOWN: Standing.LIVE,
    JobState.REQUEUED: Standing.REQUEUED,
    JobState.COMPLETED: Standing.COMPLETED,
    JobState.CANCELLED: Standing.FINAL,
    JobState.FAILED: Standing.FINAL,
    JobState.TIMEOUT: Standing.FINAL,
    JobState.OUT_OF_MEMORY: Standing.FINAL,
    JobState.DEADLINE: Standing.FINAL,
    JobState.REVOKED: Standing.FINAL,
    JobState.SPECIAL_EXIT: Standing.FINAL,
    JobState.NODE_FAIL: Standing.MAY_RETURN,
    JobState.PREEMPTED: Standing.MAY_RETURN,
    JobState.BOOT_FAIL: Standing.MAY_RETURN,
}
