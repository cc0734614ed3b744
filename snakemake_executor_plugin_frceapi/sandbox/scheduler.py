"""The pretend Slurm: one thread that starts jobs, and the orders that change them.

Every change happens under one lock. After each, the jobs that wait for the changed ones are looked at again, and only
those.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.dependency import (
    Dependency,
    MalformedDependency,
    Outlook,
    Upstream,
    outlook,
    parse_dependency,
)
from snakemake_executor_plugin_frceapi.sandbox.environment import User, job_environment
from snakemake_executor_plugin_frceapi.sandbox.jobs import Job, State
from snakemake_executor_plugin_frceapi.sandbox.partitions import filtered_partition, partition_table, pending_for_ever
from snakemake_executor_plugin_frceapi.sandbox.processes import kill_marked, resident_mb
from snakemake_executor_plugin_frceapi.sandbox.queue import JobQueue, Node, Share
from snakemake_executor_plugin_frceapi.sandbox.rules import SUBMISSION_FAILED, Refused, Submission
from snakemake_executor_plugin_frceapi.sandbox.runner import Launch, LocalProcess
from snakemake_executor_plugin_frceapi.sandbox.timers import Timers
from snakemake_executor_plugin_frceapi.sandbox.waiting import WaitingRoom

_COULD_NOT_START = 127
_LONGEST_GRACE_AT_STOP_S = 1.0
_LONGEST_WAIT_FOR_A_THREAD_S = 10.0


class Scheduler:
    """Accepts submissions, starts jobs where and when they fit, and ends them."""

    def __init__(self, config: SandboxConfig, directory: Path, user: User) -> None:
        """Make it; nothing runs before `start`.

        Args:
            config: limits and habits.
            directory: existing directory for scripts, job logs and as the jobs' working directory.
            user: the owner of all jobs.
        """
        self.partitions = partition_table(config.partitions)
        self._config = config
        self._directory = directory
        self._user = user
        self._jobs: dict[int, Job] = {}
        self._ids = itertools.count(config.first_jobid)
        self._unfinished: set[int] = set()
        self._touched: deque[int] = deque()
        self._waiting = WaitingRoom()
        self._queue = JobQueue()
        self._node = Node(config.cpus, config.mem_mb)
        self._running: dict[int, Share] = {}
        self._timers = Timers()
        self._changed = threading.Condition(threading.RLock())
        self._is_held = False
        self._is_stopping = False
        self._is_dirty = False
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._serve, name="sandbox-scheduler", daemon=True)

    def start(self) -> None:
        """Begin to start jobs."""
        self._thread.start()

    def stop(self) -> None:
        """End every job and the scheduler: SIGTERM, a short grace, SIGKILL. What was not over is CANCELLED."""
        with self._change():
            self._is_stopping = True
            processes = [process for job in self._running_jobs() if (process := job.process)]
            for job_id in sorted(self._unfinished):
                self._cancel(self._jobs[job_id])
        deadline = time.monotonic() + min(self._config.kill_wait, _LONGEST_GRACE_AT_STOP_S)
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in processes:
            if process.is_running:
                process.kill()
                process.join(_LONGEST_WAIT_FOR_A_THREAD_S)
        self._thread.join(_LONGEST_WAIT_FOR_A_THREAD_S)
        if self._jobs:
            kill_marked("SLURM_SUBMIT_DIR", str(self._directory))

    def submit(self, submission: Submission) -> Job:
        """Accept a job.

        Raises:
            Refused: its dependency is malformed or names a job that is not known, or the scheduler has stopped.
        """
        with self._change():
            if self._is_stopping:
                raise Refused(SUBMISSION_FAILED, "the sandbox has stopped")
            job = self._new_job(submission, self._dependency(submission.dependency))
            self._jobs[job.job_id] = job
            self._unfinished.add(job.job_id)
            self._admit(job)
            return job

    def jobs(self) -> dict[int, Job]:
        """All jobs since the start, by id. The jobs are live: they change as they run."""
        with self._changed:
            return dict(self._jobs)

    def job(self, job_id: int) -> Job:
        """The job with an id.

        Raises:
            KeyError: there is none.
        """
        with self._changed:
            return self._jobs[job_id]

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait at most `timeout` seconds until `condition` holds, looking after each change; True if it does."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def hold(self) -> None:
        """Start no job until `release`."""
        with self._change():
            self._is_held = True

    def release(self) -> None:
        """Start jobs again."""
        with self._change():
            self._is_held = False

    def cancel(self, job_id: int) -> None:
        """End a job as scancel(1) does: SIGTERM, and SIGKILL after ``kill_wait``. Nothing happens to an ended one."""
        with self._change():
            self._cancel(self._jobs[job_id])

    def requeue(self, job_id: int, state: State = State.REQUEUED) -> None:
        """End a job and start it again under its id, as ``scontrol requeue`` does; an ended one starts again, too.

        Args:
            job_id: its id.
            state: its state until its processes have ended.
        """
        with self._change():
            job = self._jobs[job_id]
            if job.is_final:
                self._unfinished.add(job_id)
                self._start_over(job)
            elif job.process is not None:
                self._end(job, job.process, state, comes_back=True)

    def fail_node(self, job_id: int, *, requeue: bool) -> None:
        """Let a job lose its node: SIGKILL without a warning, NODE_FAIL, and another start if `requeue`."""
        with self._change():
            job = self._jobs[job_id]
            if job.process is not None:
                self._end(job, job.process, State.NODE_FAIL, comes_back=requeue, at_once=True)

    def set_state(self, job_id: int, state: str | None) -> None:
        """List a job with `state`, whatever is true; None: the true one again."""
        with self._change():
            self._jobs[job_id].shown_state = state

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock; afterwards look again at the jobs that wait for what was changed, and wake the thread."""
        with self._changed:
            yield
            self._settle()
            self._is_dirty = True

    def _settle(self) -> None:
        while self._touched:
            for job_id in self._waiting.downstream(self._touched.popleft()):
                self._judge(self._jobs[job_id])
        self._changed.notify_all()

    def _new_job(self, submission: Submission, dependency: Dependency | None) -> Job:
        job_id = next(self._ids)
        return Job(
            job_id=job_id,
            submission=submission,
            partition=self.partitions[filtered_partition(submission.partition, submission.time_limit_s)],
            directory=self._directory,
            output=self._directory / f"slurm-{job_id}.out",
            submitted_at=self._config.clock(),
            dependency=dependency,
        )

    def _dependency(self, text: str | None) -> Dependency | None:
        if text is None:
            return None
        try:
            dependency = parse_dependency(text)
        except MalformedDependency as error:
            raise Refused(SUBMISSION_FAILED, str(error)) from error
        forgotten = {job_id for job_id in dependency.job_ids if self._is_forgotten(job_id)}
        if forgotten and self._config.unknown_dependency == "refuse":
            raise Refused(SUBMISSION_FAILED, f"dependency on jobs that are not known: {sorted(forgotten)}")
        return dependency.without(forgotten)

    def _is_forgotten(self, job_id: int) -> bool:
        job = self._jobs.get(job_id)
        if job is None:
            return True
        return job.is_final and self._config.clock() - (job.ended_at or 0) > self._config.min_job_age

    def _admit(self, job: Job) -> None:
        if job.dependency is None:
            self._enqueue(job)
        else:
            self._waiting.add(job.job_id, job.dependency)
            self._judge(job)

    def _judge(self, job: Job) -> None:
        """Look at what a waiting job waits for."""
        if job.dependency is None or job.ended_at is not None:
            return
        is_alone = min(self._unfinished) == job.job_id if job.dependency.has_singleton else True
        verdict = outlook(job.dependency, self._upstream, self._config.clock(), is_alone)
        if verdict is Outlook.MET:
            self._waiting.discard(job.job_id)
            job.dependency = None
            self._enqueue(job)
        elif verdict is Outlook.NEVER and self._config.kill_invalid_depend:
            self._cancel(job)
        else:
            job.pending_reason = "Dependency" if verdict is Outlook.WAITING else "DependencyNeverSatisfied"

    def _upstream(self, job_id: int) -> Upstream:
        return self._jobs[job_id].upstream()

    def _enqueue(self, job: Job) -> None:
        share = self._share(job)
        too_big = share.node_cpus > self._node.cpus or share.node_mem_mb > self._node.mem_mb
        reason = pending_for_ever(job.partition, job.cpus, job.time_limit_s) or ("Resources" if too_big else None)
        job.pending_reason = reason or "Priority"
        if reason is None:
            self._queue.push(job.job_id, share)

    def _share(self, job: Job) -> Share:
        mem_mb = self._node.mem_mb if job.mem_limit_mb is None else job.mem_limit_mb
        if self._config.oversized == "pend":
            return Share(job.partition, job.cpus, job.cpus, mem_mb)
        return Share(job.partition, job.cpus, min(job.cpus, self._node.cpus), min(mem_mb, self._node.mem_mb))

    def _serve(self) -> None:
        """Start jobs and do what is due until the scheduler is stopped and nothing runs any more."""
        while not (self._is_stopping and not self._running):
            self._watch_memory()
            with self._changed:
                if not self._is_dirty:
                    self._changed.wait(self._pause())
                self._timers.run_due(time.monotonic())
                for job_id in self._waiting.delayed():
                    self._judge(self._jobs[job_id])
                self._settle()
                self._start_what_fits()
                self._is_dirty = bool(self._touched)

    def _start_what_fits(self) -> None:
        while not (self._is_held or self._is_stopping) and (found := self._queue.pop_first(self._node)):
            self._start(self._jobs[found[0]], found[1])

    def _start(self, job: Job, share: Share) -> None:
        job.started_at = self._config.clock()
        job.pending_reason = "None"
        self._touched.append(job.job_id)
        try:
            job.process = LocalProcess(self._launch(job), partial(self._ended, job))
        except OSError as error:
            job.output.write_text(f"sandbox: job {job.job_id} could not start: {error}\n", encoding="utf-8")
            job.exit_code = _COULD_NOT_START
            self._finish(job, State.FAILED)
            return
        job.state = State.RUNNING
        self._node.take(share)
        self._running[job.job_id] = share
        if job.time_limit_s is not None:
            self._later(job.time_limit_s, partial(self._end, job, job.process, State.TIMEOUT))

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

    def _end(
        self, job: Job, process: LocalProcess, state: State, *, comes_back: bool = False, at_once: bool = False
    ) -> None:
        """Decide the end of a running job; nothing happens if that run is over or its end was decided before."""
        if job.process is not process or job.ended_at is not None:
            return
        job.state = state
        job.ended_at = self._config.clock()
        job.comes_back = comes_back
        if at_once:
            process.kill()
            return
        process.terminate()
        self._later(self._config.kill_wait, partial(_kill_if_left, job, process))

    def _cancel(self, job: Job) -> None:
        if job.process is None:
            if job.ended_at is None:
                self._finish(job, State.CANCELLED)
        elif job.comes_back:
            job.comes_back = False
            job.state = State.CANCELLED
        else:
            self._end(job, job.process, State.CANCELLED)

    def _ended(self, job: Job, process: LocalProcess, exit_code: int) -> None:
        """The last process of a run is gone."""
        with self._change():
            job.process = None
            job.exit_code = exit_code
            self._node.give_back(self._running.pop(job.job_id))
            if job.comes_back:
                self._start_over(job)
            elif job.ended_at is None:
                self._finish(job, State.COMPLETED if exit_code == 0 else State.FAILED)
            else:
                self._finish(job, job.state)

    def _start_over(self, job: Job) -> None:
        job.comes_back = False
        job.restarts += 1
        job.state = State.PENDING
        job.started_at = job.ended_at = None
        self._enqueue(job)

    def _finish(self, job: Job, state: State) -> None:
        job.state = state
        if job.ended_at is None:
            job.ended_at = self._config.clock()
        self._unfinished.discard(job.job_id)
        self._waiting.discard(job.job_id)
        self._queue.discard(job.job_id)
        self._touched.append(job.job_id)

    def _running_jobs(self) -> list[Job]:
        return [self._jobs[job_id] for job_id in self._running]

    def _watch_memory(self) -> None:
        """Kill the jobs that hold more memory than they were given."""
        if time.monotonic() < self._next_look or not self._running:
            return
        with self._changed:
            watched = {process.pid: (job, process) for job in self._running_jobs() if (process := job.process)}
        used = resident_mb(watched)
        with self._change():
            for pid, (job, process) in watched.items():
                if job.mem_limit_mb is not None and used[pid] > job.mem_limit_mb:
                    self._end(job, process, State.OUT_OF_MEMORY, at_once=True)
        self._next_look = time.monotonic() + self._config.memory_interval

    def _pause(self) -> float | None:
        """Seconds until something is due by itself; None: nothing is."""
        moments = [due for due in (self._timers.next_due(),) if due is not None]
        if self._running:
            moments.append(self._next_look)
        if self._waiting.has_delayed:
            moments.append(time.monotonic() + self._config.memory_interval)
        return max(0.0, min(moments) - time.monotonic()) if moments else None


def _kill_if_left(job: Job, process: LocalProcess) -> None:
    if job.process is process:
        process.kill()
