"""The queue of jobs that may start, and the node that they share. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.sandbox.jobs import Job
from snakemake_executor_plugin_frceapi.sandbox.partitions import Partition


@dataclass(frozen=True, slots=True)
class Share:
    """What a job takes: jobs with equal shares are interchangeable, which keeps the search for one that fits short.

    Attributes:
        partition: its partition.
        cpus: CPUs counted against the partition's cap.
        node_cpus: CPUs taken of the pretend node.
        node_mem_mb: memory taken of the pretend node, in MB.
    """

    partition: Partition
    cpus: int
    node_cpus: int
    node_mem_mb: int


class Node:
    """The CPUs and the memory that jobs share, and how much of each partition's cap they use."""

    def __init__(self, cpus: int, mem_mb: int) -> None:
        self.cpus = cpus
        self.mem_mb = mem_mb
        self.free_cpus = cpus
        self.free_mem_mb = mem_mb
        self._used: defaultdict[str, int] = defaultdict(int)

    def fits(self, share: Share) -> bool:
        """True if `share` is free now."""
        cap = share.partition.max_cpus
        within_cap = cap is None or self._used[share.partition.name] + share.cpus <= cap
        return within_cap and share.node_cpus <= self.free_cpus and share.node_mem_mb <= self.free_mem_mb

    def take(self, share: Share) -> None:
        """Give `share` to a job."""
        self._change(share, 1)

    def give_back(self, share: Share) -> None:
        """Take `share` back."""
        self._change(share, -1)

    def _change(self, share: Share, sign: int) -> None:
        self.free_cpus -= sign * share.node_cpus
        self.free_mem_mb -= sign * share.node_mem_mb
        self._used[share.partition.name] += sign * share.cpus


class JobQueue:
    """First in, first out by job id, and a later job may start before an earlier one that does not fit (backfill)."""

    def __init__(self) -> None:
        self._queued: dict[int, tuple[Job, Share]] = {}
        self._heaps: dict[Share, list[int]] = {}

    def push(self, job: Job, share: Share) -> None:
        """Add a job."""
        self._queued[job.job_id] = job, share
        heapq.heappush(self._heaps.setdefault(share, []), job.job_id)

    def discard(self, job: Job) -> None:
        """Take a job out, if it is in."""
        self._queued.pop(job.job_id, None)

    def pop_first(self, node: Node) -> tuple[Job, Share] | None:
        """Take out the job with the lowest id among those that fit on `node` now."""
        if node.free_cpus <= 0:
            return None
        heads = [heap[0] for share, heap in self._live_heaps() if node.fits(share)]
        return self._queued.pop(min(heads)) if heads else None

    def _live_heaps(self) -> list[tuple[Share, list[int]]]:
        """The heaps with a job in front that is still queued; emptied ones are forgotten."""
        for share, heap in list(self._heaps.items()):
            while heap and heap[0] not in self._queued:
                heapq.heappop(heap)
            if not heap:
                del self._heaps[share]
        return list(self._heaps.items())
