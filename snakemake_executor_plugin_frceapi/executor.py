"""The executor as Snakemake knows it: takes jobs that are ready, reports what became of each."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_interface_common.exceptions import ApiError, WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from snakemake_executor_plugin_frceapi.errors import FrceapiError, RunFailed, SettingsError

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.assembly import Assembly
    from snakemake_executor_plugin_frceapi.convoy import Convoy
    from snakemake_executor_plugin_frceapi.reports.closing import Closing
    from snakemake_executor_plugin_frceapi.resources import Notice
    from snakemake_executor_plugin_frceapi.sharing import Sharing
    from snakemake_executor_plugin_frceapi.submission import Submission

_BEFORE_START_SECONDS = 0.05
_INTERRUPTED = "Stopped by Ctrl-C before the API had answered; nothing was submitted."


class Executor(RemoteExecutor):
    """Runs jobs on the cluster behind the API.

    Jobs are handed over in `run_jobs` and sent by threads of their own. `check_active_jobs`, which the base class calls
    again and again in its thread, reports outcomes and ends. The base class empties its list of active jobs during each
    check, so the jobs are kept in `Run` alone and that list stays empty.

    The other modules of the package are imported when an executor is built, because Snakemake imports this one at each
    call, whatever executor is used.
    """

    # The interface's types leave out what Snakemake's own objects have and all plugins use.
    workflow: Any
    logger: Any

    _closing: Closing
    _parts: Assembly | None = None

    def __post_init__(self) -> None:
        """Check settings, file system and service, before anything is submitted.

        Raises:
            ApiError: one of them cannot be used. Of Snakemake's exceptions this is the one that it shows as one line.
        """
        from snakemake_executor_plugin_frceapi.resources import NoticeBoard
        from snakemake_executor_plugin_frceapi.stop_signals import StopSignals

        self._notices = NoticeBoard()
        self._signals = StopSignals()
        self._unsettled: dict[Any, tuple[str, set[Any]]] = {}
        self._closed = False
        self._over = threading.Event()
        try:
            self._parts = self._assemble()
            self.logger.addFilter(self._parts.ends)
            atexit.register(self._end)  # where nothing is to be done, Snakemake does not call `shutdown`
            self._take_stock()
        except (FrceapiError, KeyboardInterrupt) as error:
            self.wait = False
            if self._parts is not None:
                self._parts.run.wake()
            self.wait_thread.join()
            raise ApiError(str(error) or _INTERRUPTED) from None

    def run_jobs(self, jobs: list[Any]) -> None:
        """Hand over jobs that are ready; each is submitted or fails."""
        self._signals.follow()
        self._run_parts.refresh()
        convoy, notices = self._run_parts.convoy, list[Any]()
        for job in jobs:
            self.run_job_pre(job)
            notices += self._collect(convoy, job) if convoy else self._hand_over(job)
        for line in self._notices.lines(notices):
            self.warn(line)
        if convoy:
            convoy.walk(jobs)

    def run_job(self, job: Any) -> None:
        """Hand over one job that is ready."""
        self.run_jobs([job])

    def _hand_over(self, job: Any) -> Sequence[Notice]:
        info = SubmittedJobInfo(job)
        try:
            ready = self._run_parts.spawning.ready(job)
            submission, notices = self._run_parts.preparation.prepare(ready, info)
        except Exception as error:  # noqa: BLE001 - code of the workflow runs here, and its error is that of one job
            kind = "" if isinstance(error, FrceapiError | WorkflowError) else f"{type(error).__name__}: "
            self.report_job_error(info, msg=f"The job was not submitted: {kind}{error}\n")
            return ()
        early = self._run_parts.vanguard.take(ready, submission)
        if early is None:
            self._run_parts.vanguard.send(partial(self._run_parts.admission.admit, submission))
        elif early.serves:
            self._run_parts.admission.discard(submission)
            self._run_parts.run.attach(early.submission, info, ready.works)
            self._run_parts.vanguard.let_begin(early.submission)
        else:
            self._run_parts.vanguard.send(partial(self._run_parts.run.submit, submission, after=[early.submission]))
        return notices

    def _collect(self, convoy: Convoy, job: Any) -> Sequence[Notice]:
        """Note a job that is submitted when Snakemake has handed over all."""
        from snakemake_executor_plugin_frceapi.immediate import awaited

        try:
            return convoy.add(SubmittedJobInfo(job), self._run_parts.spawning.ready(job, awaited(self.dag, job)))
        except FrceapiError as error:
            raise ApiError(f"{error}; nothing was submitted.") from None

    async def check_active_jobs(  # type: ignore[override]  # the interface says coroutine and awaits a generator
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Do rounds until the run ends; the base class would come back after each, by way of two other threads."""
        while self.wait and (parts := self._parts) is not None and not parts.departure.begun:
            self._round(parts)
            parts.run.wait()
        for job_info in active_jobs:
            yield job_info

    def _round(self, parts: Assembly) -> None:
        """Do one round; whatever goes wrong in it, the jobs are left alone and Snakemake is told."""
        from snakemake_executor_plugin_frceapi.events import started

        try:
            parts.run.look()
            for line, facts in started(parts.run.chronicle.take_started()):
                self.progress(line, facts)
            parts.vanguard.round()
        except FrceapiError as error:
            self._give_up(str(error))
        except Exception as error:
            self.logger.debug("frceapi: internal error", exc_info=True)
            self._give_up(f"Internal error of the frceapi executor: {type(error).__name__}: {error}")

    async def sleep(self) -> None:
        """Wait for the run to begin, or after its last round for the end; nothing else runs in this event loop."""
        if self._parts is None:
            await asyncio.sleep(_BEFORE_START_SECONDS)
        elif self._parts.departure.begun and self.wait:
            self._over.wait()

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:  # noqa: ARG002 - it is empty, see above
        """Do what ``--frceapi-on-exit`` says."""
        if self._parts is not None:
            self._parts.departure.stop_early()

    def shutdown(self) -> None:
        """End the run."""
        if self._closed:
            return
        failure = self._complete()
        self._end()
        self.wait = False
        self._over.set()
        super().shutdown()  # type: ignore[no-untyped-call]  # the interface gives it no types
        self._signals.restore()
        if failure:
            raise ApiError(failure)  # Snakemake has asked before whether anything failed

    def _complete(self) -> str:
        """Submit what is submitted at once; return what went wrong."""
        if (parts := self._parts) is not None and parts.convoy and not parts.departure.begun:
            try:
                parts.convoy.complete()
            except RunFailed as failed:
                return str(failed)
        return ""

    def _end(self) -> None:
        """End the parts of the run, and leave no file that no job needs."""
        self._closed = True
        atexit.unregister(self._end)
        if (parts := self._parts) is not None:
            self.logger.removeFilter(parts.ends)
            parts.departure.close()
            parts.vanguard.clean_up()
            parts.close()
            for line in filter(None, [parts.vanguard.summary(), *self._closing.write(parts.run.chronicle.records())]):
                self.say(line)

    def submitted(self, submission: Submission) -> None:
        """Report that the API has taken a job, to those of the jobs that it serves that do not know it yet."""
        from snakemake_executor_plugin_frceapi.events import Phase, remote_job_state

        for info in [info for info in submission.job_infos if info.external_jobid is None]:
            info.external_jobid = submission.external_jobid
            self.progress(submission.arrival(info.job), remote_job_state(Phase.QUEUED, submission, info.job.jobid))
            # The base class's version adds the job to its list of active jobs as well.
            RealExecutor.report_job_submission(self, info)
            self._run_parts.vanguard.note_submitted(info.job, submission)

    def succeeded(self, submission: Submission) -> None:
        """Report that a job has ended well."""
        self._run_parts.ends.note(submission, succeeded=True)
        self._run_parts.legacy.note_ended(submission.token)
        self._run_parts.vanguard.note_succeeded(submission)
        jobs = {info.job for info in submission.job_infos}
        self._unsettled.update((job, (submission.token, jobs)) for job in jobs)
        for info in submission.job_infos:
            self._run_parts.vanguard.note_ended()
            self.report_job_success(info)

    def handle_job_success(self, job: Any) -> None:
        """Note that Snakemake has recorded a job, so that no later run asks what became of it."""
        token, left = self._unsettled.pop(job, ("", set()))
        left.discard(job)
        if token and not left:
            self._run_parts.run.note_settled(token)
        self._run_parts.vanguard.note_finished(job)
        if self._run_parts.convoy:
            self._run_parts.convoy.note_walked(job)

    def handle_job_error(self, job: Any) -> None:
        """Note that Snakemake does not take the outputs of a job that ended well."""
        self._run_parts.vanguard.note_failed(job)
        self.handle_job_success(job)

    def failed(self, submission: Submission, message: str) -> None:
        """Report that a job has failed."""
        from snakemake_executor_plugin_frceapi.early import never_began

        if submission.went_ahead and never_began(submission, self._run_parts.spool):
            self._start_over(submission)
            return
        self._run_parts.ends.note(submission, succeeded=False)
        self._run_parts.legacy.note_failed(submission.token)
        logs = [str(submission.log)] if submission.log.exists() else []
        for info in submission.job_infos:
            self._run_parts.vanguard.note_ended()
            self._run_parts.vanguard.note_failed(info.job)
            self.report_job_error(info, msg=message, aux_logs=logs)

    def _start_over(self, submission: Submission) -> None:
        """Submit a job anew that went ahead and never began, such as one that waited for a twin."""
        self.say(f"Job {submission.external_jobid} of rule {submission.rule} never began; it is submitted anew.")
        for info in submission.job_infos:
            self._run_parts.vanguard.note_ended()
            self._run_parts.vanguard.note_restarted(info.job)
            self._hand_over(info.job)

    def print_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Show why a job failed; the base class's version adds that more stands in logs, which are named already."""
        if job_info.external_jobid is not None:
            kwargs["external_jobid"] = job_info.external_jobid
        job_info.job.log_error((msg or "").rstrip("\n"), **kwargs)

    def say(self, line: str) -> None:
        """Tell the user something."""
        self.logger.info(line)

    def progress(self, line: str, facts: dict[str, Any] | None = None) -> None:
        """Tell the user, and logger plugins as `facts`, how far a job has come, unless that is not wanted."""
        from snakemake_executor_plugin_frceapi.events import progress_mark

        self.logger.info(line, extra={**(facts or {}), **progress_mark(self.workflow)})

    def warn(self, line: str) -> None:
        """Tell the user something that wants attention."""
        self.logger.warning(line)

    @property
    def _run_parts(self) -> Assembly:
        assert self._parts is not None
        return self._parts

    def checked_sharing(self) -> Sharing:
        """Return what jobs share with Snakemake.

        Raises:
            SettingsError: a setting, or submitting all jobs at once, cannot work with that.
        """
        from snakemake_executor_plugin_frceapi.immediate import check
        from snakemake_executor_plugin_frceapi.sharing import check_settings, read_sharing

        sharing = read_sharing(self.workflow)
        at_once = self.workflow.remote_execution_settings.immediate_submit
        if not sharing.run_directory:
            check_settings(self.executor_settings, submits_at_once=at_once)
        if at_once:
            check(self.workflow)
        elif self.executor_settings.wait:
            raise SettingsError(
                "--frceapi-wait is for --immediate-submit; without that, Snakemake stays anyway: leave it out."
            )
        return sharing

    def _assemble(self) -> Assembly:
        from snakemake_executor_plugin_frceapi.ahead import Horizon
        from snakemake_executor_plugin_frceapi.assembly import Surroundings, assemble
        from snakemake_executor_plugin_frceapi.reports.closing import Closing
        from snakemake_executor_plugin_frceapi.spawning import Spawning

        remote = self.workflow.remote_execution_settings
        self._closing = Closing(self.executor_settings)
        around = Surroundings(
            settings=self.executor_settings,
            persistence=Path(self.workflow.persistence.path),
            workdir=Path(self.workflow.workdir_init),
            sharing=(sharing := self.checked_sharing()),
            envvars=self.envvars(),
            seconds_between_status_checks=remote.seconds_between_status_checks,
            max_status_checks_per_second=float(remote.max_status_checks_per_second),
            spawning=partial(Spawning, self),
            ahead=Horizon(
                workflow=self.workflow,
                ahead=0 if remote.immediate_submit or not sharing.run_directory else self.executor_settings.lookahead,
                jobs=self.workflow.resource_settings.nodes,
                keeps_going=self.workflow.execution_settings.keep_going,
            ),
            is_immediate=remote.immediate_submit,
            show_error=self.print_job_error,
            detail=self.logger.debug,
        )
        return assemble(around, self)

    def _take_stock(self) -> None:
        """Record what earlier runs' jobs have done meanwhile, and say how many of them are still to be taken up."""
        from snakemake_executor_plugin_frceapi.bookkeeping import record_ended

        parts = self._run_parts
        for entry in record_ended(self.workflow, parts.legacy, parts.spool, self.warn):
            parts.legacy.remove(entry)
            parts.run.note_settled(entry.token)
            parts.run.remove_log(parts.preparation.resume(entry))
            parts.run.tidying.release(entry.upstream)
            parts.spool.forget_end(entry.token)
            if not parts.run.tidying.is_held(entry.token):
                parts.spool.discard(entry.token)
        if left := len(parts.legacy.entries):
            jobs = "1 job" if left == 1 else f"{left} jobs"
            self.say(f"An earlier run has left {jobs} behind; those that this run needs are taken up.")

    def _give_up(self, message: str) -> None:
        self._run_parts.departure.give_up()
        if self.workflow.scheduler is not None:
            self.workflow.scheduler.executor_error_callback(ApiError(message))
        if self._run_parts.convoy:
            self._run_parts.convoy.stop(message)
