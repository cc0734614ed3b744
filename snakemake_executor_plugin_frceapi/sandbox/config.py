"""What can be set about a sandbox."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from snakemake_executor_plugin_frceapi.sandbox.partitions import Partition

FIRST_JOBID = 67_043_329
"""One above Slurm's largest job id (``MaxJobId`` in slurm.conf(5)), so that no id can be taken for a cluster's."""


def machine_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def machine_mem_mb() -> int:
    """How much memory this machine has, in MB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """The settings of a sandbox.

    Attributes:
        host: a loopback address; others are refused.
        port: TCP port; 0: a free one.
        secret: the path segment that a client must know; None: a random one.
        secret_file: a file of mode 0600 from which the secret is read, in place of `secret`.
        cpus: CPUs of the pretend node.
        mem_mb: memory of the pretend node in MB.
        partitions: partitions beside FRCE's; one of the same name replaces FRCE's.
        oversized: a job that asks for more than the whole node runs alone on it, or pends for ever.
        kill_wait: seconds between SIGTERM and SIGKILL, as ``KillWait`` in slurm.conf(5).
        memory_interval: seconds between two looks at the jobs' memory.
        unknown_dependency: what happens to a dependency on an id that is not known, or no longer: the submission is
            refused, or the condition is dropped silently.
        kill_invalid_depend: cancel a job whose dependency can never be met, as FRCE does; otherwise it pends for ever.
        min_job_age: seconds after its end during which an id is known, as ``MinJobAge`` in slurm.conf(5).
        max_post_bytes: the largest POST, "4 KB" in the API's words.
        spelling: answers as the examples of the API's page spell them, or as its prose does.
        junk_lines: lines that stand before the JSON of ``query_status``.
        window_by: which moment puts a job in the listing of 24 hours: its end (active jobs are always there), or its
            submission.
        first_jobid: the first job's id.
        directory: where the jobs' files go; kept. None: a temporary directory, removed at the end.
        seed: of the random numbers behind faults with a probability.
        clock: seconds since the epoch, for all that is dated; tests may move it.
    """

    host: str = "127.0.0.1"
    port: int = 0
    secret: str | None = field(default=None, repr=False)
    secret_file: Path | None = None
    cpus: int = field(default_factory=machine_cpus)
    mem_mb: int = field(default_factory=machine_mem_mb)
    partitions: tuple[Partition, ...] = ()
    oversized: Literal["alone", "pend"] = "alone"
    kill_wait: float = 5.0
    memory_interval: float = 0.5
    unknown_dependency: Literal["refuse", "drop"] = "refuse"
    kill_invalid_depend: bool = True
    min_job_age: float = 300.0
    max_post_bytes: int = 4096
    spelling: Literal["example", "prose"] = "example"
    junk_lines: tuple[str, ...] = ()
    window_by: Literal["end", "submission"] = "end"
    first_jobid: int = FIRST_JOBID
    directory: Path | None = None
    seed: int = 0
    clock: Callable[[], float] = time.time
