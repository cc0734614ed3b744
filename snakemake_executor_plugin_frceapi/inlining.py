"""From a job that is ready to a submission without a run directory: all that the job does is in the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.inline import InlineScript, compress, largest_part
from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.job_table import job_row
from snakemake_executor_plugin_frceapi.journal import Entry
from snakemake_executor_plugin_frceapi.preparation import ReadyJob, resumed
from snakemake_executor_plugin_frceapi.resources import Notice, RequestDefaults, build_request
from snakemake_executor_plugin_frceapi.spool import new_token
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.wire import MAX_REQUEST_BYTES, Encoding, RequestTooLarge, encode_request


class InlinePreparation:
    """Makes submissions of ready jobs that have no run directories.

    Args:
        defaults: what is asked for where a rule says nothing.
        encoding: how a job request is written.
        script: what is the same in the scripts of all jobs.
        table: the file in which the jobs are listed.
    """

    def __init__(self, defaults: RequestDefaults, encoding: Encoding, script: InlineScript, table: Path) -> None:
        self._defaults = defaults
        self._encoding = encoding
        self._script = script
        self._row = partial(job_row, table)

    def prepare(
        self,
        job: ReadyJob,
        job_info: Any,
        behind: Sequence[Submission] = (),  # noqa: ARG002 - nothing goes ahead without a run directory
        *,
        gated: bool = False,  # noqa: ARG002 - and there is no gate
    ) -> tuple[Submission, tuple[Notice, ...]]:
        """Return the submission of a job, and what the user should be told about its resources.

        Args:
            job: what is known of the job.
            job_info: Snakemake's own record of it.
            behind: nothing.
            gated: means nothing.

        Raises:
            JobError: the job asks for something that cannot be expressed, or is too large for a request.
        """
        request, notices = build_request(job.name, job.resources, job.threads, self._defaults, members=job.members)
        own = None if job.jobscript == f"{job.command}\n" else job.jobscript
        logs = Path(self._script.log_directory)
        submission = Submission(
            token=new_token(),
            job_info=job_info,
            rule=job.name,
            attempt=job.attempt,
            works=job.works,
            request=request,
            body=self._body(request, replace(self._script, command=job.command, jobscript=own)),
            log_directory=logs,
            row=self._row(job.name, job.wildcards, logs),
        )
        return submission, notices

    def resume(self, entry: Entry, job_info: Any = None) -> Submission:
        """Return the submission of an earlier run, which is never sent again.

        Args:
            entry: what the journal says of it.
            job_info: Snakemake's own record of the job that it serves now, None if it serves none.
        """
        return resumed(entry, job_info, b"", self._row(entry.rule, entry.wildcards, entry.log_directory))

    def _body(self, request: JobRequest, script: InlineScript) -> bytes:
        text = script.render()
        try:
            return encode_request(request, text, self._encoding)
        except JobError:
            pass  # it may fit, and have none but ASCII characters, when it is compressed
        try:
            return encode_request(request, compress(text), self._encoding)
        except RequestTooLarge as error:
            if error.key != "script-body":
                raise
            raise JobError(
                f"without a shared file system the job command travels in the request, which has {error.size:,} bytes "
                f"although it is compressed; the API takes fewer than {MAX_REQUEST_BYTES:,}: {largest_part(script)}"
            ) from None
