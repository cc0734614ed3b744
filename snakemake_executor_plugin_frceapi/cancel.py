"""Cancel jobs through an API that has no call for it.

Three ways, all at once: the order in each run directory, which a queued job obeys as it starts and a running one within
seconds; ``scancel`` on this machine, when it surely speaks to the cluster that runs the jobs; and a short job that runs
``scancel`` there. Then the listing is watched until the jobs are gone or the time is up.
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from snakemake_executor_plugin_frceapi.errors import ServiceError
from snakemake_executor_plugin_frceapi.job import Accepted, JobRequest, Listing
from snakemake_executor_plugin_frceapi.ports import Service
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission

LARGEST_SLURM_JOBID = 67_043_328
"""slurm.conf(5), ``MaxJobId``: larger numbers are a sandbox's, and no Slurm has such a job."""

HELPER_PARTITION = "short"
_HELPER_CHUNK = 300
_COMMAND_SECONDS = 5.0
_LOOK_SECONDS = 1.0


Encode: TypeAlias = Callable[[JobRequest, str], bytes]
"""Makes a request body of a job request and a script."""


class Canceller:
    """Ends jobs, within a time limit.

    Args:
        service: the API.
        spool: the run directory.
        encode: makes a request body of a job request and a script.
        timeout_seconds: when to stop waiting for the jobs to end.
    """

    def __init__(
        self,
        service: Service,
        spool: Spool,
        encode: Encode,
        timeout_seconds: float,
    ) -> None:
        self._service = service
        self._spool = spool
        self._encode = encode
        self._timeout = timeout_seconds

    def cancel(self, submissions: Sequence[Submission]) -> list[Submission]:
        """Cancel jobs and return those that may still be alive at the end."""
        until = time.monotonic() + self._timeout
        helpers = self.order(submissions)
        alive = self._wait(submissions, until)
        helpers.join(_COMMAND_SECONDS)
        return alive

    def order(self, submissions: Sequence[Submission], others: Iterable[str] = ()) -> threading.Thread:
        """Begin to cancel jobs; return the thread that submits the jobs that help, where they are needed.

        Args:
            submissions: the jobs.
            others: tokens of jobs of the same service that may have recorded the name of its cluster.
        """
        tokens = {*others, *(item.token for item in submissions)}
        clusters = {start.cluster for token in tokens if (start := self._spool.start(token))}
        for item in submissions:
            item.external_jobid = self._spool.claimed_by(item.token) or item.external_jobid
            self._spool.order_cancel(item.token)
        slurm = [item for item in submissions if _is_slurms(item.external_jobid)]
        mine = own_jobids(slurm, clusters) if slurm else set()
        run_scancel(mine)
        rest = [item for item in slurm if item.external_jobid not in mine]
        # A service that hangs keeps threads of their own waiting, not the user.
        ids = {item.external_jobid: item.request.partition for item in rest if item.external_jobid}
        arguments = (self._service, self._encode, ids)
        helpers = threading.Thread(target=submit_helpers, args=arguments, daemon=True)
        helpers.start()
        return helpers

    def order_aside(self, submissions: Sequence[Submission]) -> None:
        """Do that in a thread of its own: it asks programs and the API, which may take seconds, and nobody waits."""
        if submissions:
            threading.Thread(target=self.order, args=(submissions,), name="frceapi-cancel", daemon=True).start()

    def _wait(self, submissions: Sequence[Submission], until: float) -> list[Submission]:
        alive = {item.token: item for item in submissions}
        listings: deque[Listing] = deque(maxlen=1)
        over = threading.Event()
        threading.Thread(target=self._ask, args=(submissions, listings, over), daemon=True).start()
        try:
            while alive:
                gone = {token for token, _ in self._spool.new_ends(alive)}
                gone |= _ended_by_listing(alive, listings.pop()) if listings else set()
                for token in gone:
                    del alive[token]
                    self._spool.erase(token)
                if not alive or time.monotonic() >= until:
                    break
                time.sleep(min(_LOOK_SECONDS, max(0.0, until - time.monotonic())))
        finally:
            over.set()
        return list(alive.values())

    def _ask(self, submissions: Sequence[Submission], listings: deque[Listing], over: threading.Event) -> None:
        wanted = {item.external_jobid for item in submissions if item.external_jobid}
        while not over.is_set():
            with contextlib.suppress(ServiceError):
                listings.append(self._service.query_status(wanted))
            over.wait(_LOOK_SECONDS)


def submit_helpers(service: Service, encode: Encode, jobs: Mapping[str, str]) -> list[str]:
    """Submit the jobs that cancel others from within the cluster.

    Args:
        service: the API.
        encode: makes a request body of a job request and a script.
        jobs: partition of each job to cancel by its external jobid.

    Returns:
        The external jobids for which no partition took one.
    """
    left: list[str] = []
    for chunk in _chunks(list(jobs)):
        script = helper_script(chunk)
        for partition in dict.fromkeys([HELPER_PARTITION, *jobs.values()]):
            request = JobRequest(
                partition=partition, ntasks=1, cpus_per_task=1, mem_mb_per_node=100, time_limit_minutes=1
            )
            if isinstance(service.submit_job(encode(request, script)), Accepted):
                break
        else:
            left += chunk
    return left


def _ended_by_listing(alive: Mapping[str, Submission], listing: Listing) -> set[str]:
    states = {token: listing.jobs.get(item.external_jobid or "") for token, item in alive.items()}
    return {token for token, status in states.items() if status is not None and status.state.is_final}


def helper_script(jobids: Iterable[str]) -> str:
    """Return the script of the job that cancels others from within the cluster."""
    return f"#!/bin/bash\nexec >/dev/null 2>&1\nscancel {' '.join(jobids)}\n"


def own_jobids(submissions: Iterable[Submission], clusters: Collection[str]) -> set[str]:
    """Return the external jobids that ``squeue`` on this machine knows as just these jobs.

    Job numbers are bare: the same number on another cluster is another job. So the cluster's name must be the one that
    the jobs themselves have recorded, and number, user and partition must agree.

    Args:
        submissions: the jobs.
        clusters: names of the cluster as jobs of this run have recorded them.
    """
    items = {item.external_jobid: item for item in submissions if item.external_jobid}
    if not (shutil.which("squeue") and shutil.which("scancel") and shutil.which("scontrol")):
        return set()
    if len(clusters) != 1 or "" in clusters or _cluster_name() not in clusters:
        return set()
    user = getpass.getuser()
    listed = _output(["squeue", "--noheader", "--user", user, "--format", "%i|%u|%P"])
    rows = {tuple(line.strip().split("|")) for line in listed.splitlines()}
    return {jobid for jobid, item in items.items() if _is_listed(rows, jobid, user, item.request.partition)}


def run_scancel(jobids: Collection[str]) -> None:
    """Run ``scancel`` on this machine for jobs that are surely meant."""
    for chunk in _chunks(sorted(jobids)):
        _output(["scancel", *chunk])


def _is_listed(rows: Collection[tuple[str, ...]], jobid: str, user: str, partition: str) -> bool:
    moved_by_filter = ("short", "norm", "unlimited")
    partitions = moved_by_filter if partition in moved_by_filter else (partition,)
    return any((jobid, user, name) in rows for name in partitions)


def _cluster_name() -> str:
    for line in _output(["scontrol", "show", "config"]).splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "ClusterName":
            return value.strip()
    return ""


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _chunks(jobids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(jobids), _HELPER_CHUNK):
        yield jobids[start : start + _HELPER_CHUNK]


def _is_slurms(external_jobid: str | None) -> bool:
    return external_jobid is not None and int(external_jobid) <= LARGEST_SLURM_JOBID
