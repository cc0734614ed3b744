"""Tells what the Snakemake that a job runs is called with, and with that all that the plugin needs to know of the job.

Snakemake's own versions wait for a temporary directory that is gone when a job outlives Snakemake, give the job all
cores that the node seems to have, which on a small node takes threads away from a rule, and quote with Python's `repr`
or, where they unpack the sources, not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.settings import SharedFSUsage
from snakemake_interface_executor_plugins.utils import encode_target_jobs_cli_args

from snakemake_executor_plugin_frceapi.command import JobArguments, quote, requote
from snakemake_executor_plugin_frceapi.preparation import ReadyJob
from snakemake_executor_plugin_frceapi.readiness import USUAL_JOBNAME, early_job, ready_job, usual_jobname

_MOST_INLINE_BYTES = 64_000
_NOTHING_BUT_THE_COMMAND = "{exec_job}"


class Spawning:
    """Makes ready jobs of Snakemake's.

    Args:
        executor: the executor, which knows the arguments that are the same for all jobs.
        share: puts content into a file that jobs see, given the kind of it, and returns its path; None: they see none.
    """

    def __init__(self, executor: Any, share: Callable[[str, bytes], Path] | None) -> None:
        self._executor = executor
        self._workflow = executor.workflow
        self._share = share

    def ready(self, job: Any, awaited: tuple[str, ...] = ()) -> ReadyJob:
        """Return what is known of a job or group job whose resources and parameters are final.

        Args:
            job: Snakemake's job.
            awaited: those of its input files that are still to be made.

        Raises:
            JobError: the file of ``--jobscript`` cannot be filled in.
        """
        command = self.command(job, job.threads)
        return ready_job(job, self._jobname(job), command, self._jobscript, awaited)

    def early(self, job: Any, resources: Mapping[str, Any], awaited: tuple[str, ...] = ()) -> ReadyJob:
        """Return what is known of a job whose input files do not exist yet.

        Args:
            job: Snakemake's job.
            resources: its resources that are sent, and its threads as ``_cores``.
            awaited: as that of `early_job`.

        Raises:
            JobError: the file of ``--jobscript`` cannot be filled in.
        """
        return early_job(job, resources, self.command(job, resources["_cores"]), self._jobscript, awaited)

    def command(self, job: Any, cores: int) -> str:
        """Return the job command: a line for a POSIX shell in which no value of the workflow is code."""
        return f"{self._begin} {self._arguments(job, cores).line()} {self._end}"

    @cached_property
    def _begin(self) -> str:
        """What stands before the arguments that a job has of its own."""
        executor = self._executor
        before = self._workflow.remote_execution_settings.precommand
        parts = [
            f"{before} &&" if before else "",
            self._deployment(),
            quote([str(executor.get_python_executable()), "-m", "snakemake", "--snakefile", str(executor.snakefile)]),
        ]
        return " ".join(filter(None, parts))

    @cached_property
    def _end(self) -> str:
        """What stands behind them."""
        executor = self._executor
        factory = self._workflow.spawned_job_args_factory
        general = requote(factory.general_args(executor_common_settings=executor.common_settings))
        return " ".join(filter(None, [general, quote(["--mode", executor.get_exec_mode().item_to_choice()])]))

    @property
    def _jobscript(self) -> str:
        """The text of ``--jobscript``; in a request there is no room for the line with which Snakemake's own begins."""
        bare = self._share is None and self._executor.is_default_jobscript
        return _NOTHING_BUT_THE_COMMAND if bare else str(self._executor.jobscript)

    def _jobname(self, job: Any) -> str:
        """Return what ``--jobname`` makes of a job; of its default without all the names that Snakemake gathers."""
        is_usual = self._executor.jobname == USUAL_JOBNAME
        return usual_jobname(job) if is_usual else str(self._executor.get_jobname(job))

    def _deployment(self) -> str:
        """Return the command that unpacks the workflow's sources from the storage, empty where jobs share them."""
        if SharedFSUsage.SOURCES in self._workflow.storage_settings.shared_fs_usage:
            return ""
        factory, archive = self._workflow.spawned_job_args_factory, self._workflow.source_archive
        words = [str(self._executor.get_python_executable()), "-m", "snakemake", "--deploy-sources"]
        options = [factory.get_default_storage_provider_args(), *factory.get_storage_provider_args()]
        return f"{quote([*words, archive.query, archive.checksum])} {requote(' '.join(options))} &&"

    def _arguments(self, job: Any, cores: int) -> JobArguments:
        shared = SharedFSUsage.INPUT_OUTPUT in self._workflow.storage_settings.shared_fs_usage
        files = [str(path) for path in job.get_wait_for_files()] if shared else []
        listed = "".join(f"{path}\n" for path in files).encode("utf-8", "surrogateescape")
        share = self._share if len(listed) > _MOST_INLINE_BYTES else None
        return JobArguments(
            target_jobs=encode_target_jobs_cli_args(job.get_target_spec()),
            rules=job.rules,
            local_groupid=str(job.jobid) if job.is_group() else None,
            cores=str(cores),
            attempt=job.attempt,
            unneeded_temp_files=[str(path) for path in self._workflow.dag.get_unneeded_temp_files(job)],
            wait_for_files=[] if share else files,
            wait_for_files_file=str(share("files", listed)) if share else None,
        )
