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
from snakemake_executor_plugin_frceapi.sandbox.dispatch import Dispatcher
from snakemake_executor_plugin_frceapi.sandbox.environment import User
from snakemake_executor_plugin_frceapi.sandbox.jobs import Job, State
from snakemake_executor_plugin_frceapi.sandbox.partitions import filtered_partition, partition_table
from snakemake_executor_plugin_frceapi.sandbox.processes import kill_marked, resident_mb
from snakemake_executor_plugin_frceapi.sandbox.rules import SUBMISSION_FAILED, Refused, Submission
from snakemake_executor_plugin_frceapi.sandbox.waiting import WaitingRoom

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
        self._jobs: dict[int, Job] = {}
        self._ids = itertools.count(config.first_jobid)
        self._unfinished: set[int] = set()
        self._touched: deque[int] = deque()
        self._waiting = WaitingRoom()
        self._dispatcher = Dispatcher(config, directory, user, self._ended)
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
            processes = [process for _, process in self._dispatcher.running]
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
            if job.dependency is None:
                self._dispatcher.enqueue(job)
            else:
                self._waiting.add(job.job_id, job.dependency)
                self._judge(job)
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
            else:
                self._dispatcher.end(job, state, comes_back=True)

    def fail_node(self, job_id: int, *, requeue: bool) -> None:
        """Let a job lose its node: SIGKILL without a warning, NODE_FAIL, and another start if `requeue`."""
        with self._change():
            self._dispatcher.end(self._jobs[job_id], State.NODE_FAIL, comes_back=requeue, at_once=True)

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
        """What a new job waits for, without what is not known any more if that is dropped."""
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

    def _judge(self, job: Job) -> None:
        """Look at what a waiting job waits for."""
        if job.dependency is None or job.ended_at is not None:
            return
        is_alone = not job.dependency.has_singleton or min(self._unfinished) == job.job_id
        verdict = outlook(job.dependency, self._upstream, self._config.clock(), is_alone=is_alone)
        if verdict is Outlook.MET:
            self._waiting.discard(job.job_id)
            job.dependency = None
            self._dispatcher.enqueue(job)
        elif verdict is Outlook.NEVER and self._config.kill_invalid_depend:
            self._cancel(job)
        else:
            job.pending_reason = "Dependency" if verdict is Outlook.WAITING else "DependencyNeverSatisfied"

    def _upstream(self, job_id: int) -> Upstream:
        return self._jobs[job_id].upstream()

    def _serve(self) -> None:
        """Start jobs and do what is due until the scheduler is stopped and nothing runs any more."""
        while not (self._is_stopping and not self._dispatcher.running):
            self._watch_memory()
            with self._changed:
                if not self._is_dirty:
                    self._changed.wait(self._pause())
                self._dispatcher.do_what_is_due()
                for job_id in self._waiting.delayed():
                    self._judge(self._jobs[job_id])
                self._settle()
                self._start_what_fits()
                self._is_dirty = bool(self._touched)

    def _start_what_fits(self) -> None:
        while not (self._is_held or self._is_stopping) and (job := self._dispatcher.start_next()):
            self._touched.append(job.job_id)
            if job.process is None:
                self._finish(job, State.FAILED)

    def _cancel(self, job: Job) -> None:
        if job.process is None and job.ended_at is None:
            self._finish(job, State.CANCELLED)
        elif job.comes_back:
            job.comes_back = False
            job.state = State.CANCELLED
        else:
            self._dispatcher.end(job, State.CANCELLED)

    def _ended(self, job: Job, exit_code: int) -> None:
        """The last process of a run is gone."""
        with self._change():
            self._dispatcher.clear_up(job, exit_code)
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
        self._dispatcher.enqueue(job)

    def _finish(self, job: Job, state: State) -> None:
        job.state = state
        if job.ended_at is None:
            job.ended_at = self._config.clock()
        self._unfinished.discard(job.job_id)
        self._waiting.discard(job.job_id)
        self._dispatcher.withdraw(job)
        self._touched.append(job.job_id)

    def _watch_memory(self) -> None:
        """Kill the jobs that hold more memory than they were given."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._config.memory_interval
        with self._changed:
            watched = {process.pid: (job, process) for job, process in self._dispatcher.running if job.mem_limit_mb}
        if not watched:
            return
        used = resident_mb(watched)
        with self._change():
            for pid, (job, process) in watched.items():
                if job.process is process and used[pid] > (job.mem_limit_mb or 0):
                    self._dispatcher.end(job, State.OUT_OF_MEMORY, at_once=True)

    def _pause(self) -> float | None:
        """Seconds until something is due by itself; None: nothing is."""
        moments = [due for due in (self._dispatcher.next_due,) if due is not None]
        if self._dispatcher.running:
            moments.append(self._next_look)
        if self._waiting.has_delayed:
            moments.append(time.monotonic() + self._config.memory_interval)
        return max(0.0, min(moments) - time.monotonic()) if moments else None
