"""An executor that does nothing, which shows what Snakemake itself spends: jobs of ``out/{n}`` end as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    job_deploy_sources=False,
    non_local_exec=True,
    implies_no_shared_fs=False,
    pass_default_storage_provider_args=False,
    pass_default_resources_args=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


class Executor(RemoteExecutor):
    """Ends jobs in the round after they came."""

    def run_job(self, job: Any) -> None:
        """Take a job, and make its output."""
        (output,) = job.output
        Path(output).touch()
        self.report_job_submission(SubmittedJobInfo(job, external_jobid="1"))

    async def check_active_jobs(  # type: ignore[override]  # the interface says coroutine and awaits a generator
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Report the end of all."""
        for job_info in active_jobs:
            self.report_job_success(job_info)
        for job_info in list[SubmittedJobInfo]():
            yield job_info

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Do nothing."""
