"""Starts queued jobs where they fit and ends running ones. Its caller holds the scheduler's lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.environment import User, job_environment
from snakemake_executor_plugin_frceapi.sandbox.jobs import Job, State
from snakemake_executor_plugin_frceapi.sandbox.partitions import pending_for_ever
from snakemake_executor_plugin_frceapi.sandbox.queue import JobQueue, Node, Share
from snakemake_executor_plugin_frceapi.sandbox.runner import Launch, LocalProcess
from snakemake_executor_plugin_frceapi.sandbox.timers import Timers

COULD_NOT_START = 127
"""Exit code of a job whose interpreter does not exist, as a shell's."""

OnEnd = Callable[[Job, int], None]
"""Is told, in a thread of its own, that nothing of a job runs any more, and the exit code."""


class Dispatcher:
    """The queue, the node and the running jobs."""

    def __init__(self, config: SandboxConfig, directory: Path, user: User, on_end: OnEnd) -> None:
        """Make it.

        Args:
            config: limits and habits.
            directory: where scripts go.
            user: the owner of all jobs.
            on_end: is told of each end.
        """
        self._config = config
        self._directory = directory
        self._user = user
        self._on_end = on_end
        self._queue = JobQueue()
        self._node = Node(config.cpus, config.mem_mb)
        self._running: dict[Job, Share] = {}
        self._timers = Timers()

    @property
    def running(self) -> list[tuple[Job, LocalProcess]]:
        """The running jobs, oldest first."""
        return [(job, job.process) for job in self._running if job.process is not None]

    @property
    def next_due(self) -> float | None:
        """When `do_what_is_due` has something to do, on the monotonic clock; None: never by itself."""
        return self._timers.next_due()

    def do_what_is_due(self) -> None:
        """End the jobs whose time limit is over, and kill those that did not end when asked."""
        self._timers.run_due(time.monotonic())

    def enqueue(self, job: Job) -> None:
        """Let a job start when it fits; one over a cap pends for ever, as on FRCE."""
        share = self._share(job)
        too_big = share.node_cpus > self._node.cpus or share.node_mem_mb > self._node.mem_mb
        reason = pending_for_ever(job.partition, job.cpus, job.time_limit_s) or ("Resources" if too_big else None)
        job.pending_reason = reason or "Priority"
        if reason is None:
            self._queue.push(job, share)

    def withdraw(self, job: Job) -> None:
        """Take a job out of the queue, if it is there."""
        self._queue.discard(job)

    def start_next(self) -> Job | None:
        """Start the first job that fits; None if none does. A job without a process afterwards could not be started."""
        found = self._queue.pop_first(self._node)
        if found is None:
            return None
        job, share = found
        job.started_at = self._config.clock()
        job.pending_reason = "None"
        try:
            job.process = LocalProcess(self._launch(job), partial(self._on_end, job))
        except OSError as error:
            job.output.write_text(f"sandbox: job {job.job_id} could not start: {error}\n", encoding="utf-8")
            job.exit_code = COULD_NOT_START
            return job
        job.state = State.RUNNING
        self._node.take(share)
        self._running[job] = share
        if job.time_limit_s is not None:
            self._later(job.time_limit_s, partial(self._end_run, job, job.process, State.TIMEOUT))
        return job

    def end(self, job: Job, state: State, *, comes_back: bool = False, at_once: bool = False) -> None:
        """Decide the end of a running job; one whose end was decided before keeps it.

        Args:
            job: the job.
            state: its state from now on.
            comes_back: it is to start again.
            at_once: SIGKILL in place of SIGTERM, ``kill_wait`` and SIGKILL.
        """
        if job.process is not None:
            self._end_run(job, job.process, state, comes_back=comes_back, at_once=at_once)

    def clear_up(self, job: Job, exit_code: int) -> None:
        """Take back what a job had that runs no more."""
        job.process = None
        job.exit_code = exit_code
        self._node.give_back(self._running.pop(job))

    def _end_run(
        self, job: Job, process: LocalProcess, state: State, *, comes_back: bool = False, at_once: bool = False
    ) -> None:
        if job.process is not process or job.ended_at is not None:
            return
        job.state = state
        job.ended_at = self._config.clock()
        job.comes_back = comes_back
        if at_once:
            process.kill()
        else:
            process.terminate()
            self._later(self._config.kill_wait, partial(_kill_if_left, job, process))

    def _share(self, job: Job) -> Share:
        mem_mb = self._node.mem_mb if job.mem_limit_mb is None else job.mem_limit_mb
        if self._config.oversized == "pend":
            return Share(job.partition, job.cpus, job.cpus, mem_mb)
        return Share(job.partition, job.cpus, min(job.cpus, self._node.cpus), min(mem_mb, self._node.mem_mb))

    def _launch(self, job: Job) -> Launch:
        return Launch(
            script=job.submission.script,
            path=self._directory / "spool" / f"job{job.job_id}" / "slurm_script",
            environment=job_environment(job, self._user, job.submission.dependency),
            directory=job.directory,
            output=job.output,
        )

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.add(time.monotonic() + seconds, action)


def _kill_if_left(job: Job, process: LocalProcess) -> None:
    if job.process is process:
        process.kill()
