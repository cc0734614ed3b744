"""Jobs of real workflows: Snakemake's own objects as an executor is handed them, without anything being run."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    DeploymentMethod,
    DeploymentSettings,
    ExecutionSettings,
    GroupSettings,
    OutputSettings,
    Quietness,
    RemoteExecutionSettings,
    ResourceSettings,
    WorkflowSettings,
)
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry


@contextmanager
def workflow_of(directory: Path, *, deploys: str = "", config: Mapping[str, object] | None = None) -> Iterator[Any]:
    """Read the workflow of a directory, which is the working directory meanwhile, and yield it with its DAG complete.

    Args:
        directory: where its Snakefile stands.
        deploys: how software is deployed, such as ``CONDA``.
        config: its configuration.
    """
    former = Path.cwd()
    linecache.clearcache()  # the Snakefile may have been edited since it was read last
    methods = {DeploymentMethod[deploys]} if deploys else set()
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        # What is kept of the workflow's own files has another name in each process.
        cache = directory / f".sources-{os.urandom(4).hex()}"
        made = api.workflow(
            ResourceSettings(cores=4, nodes=4),
            ConfigSettings(config=config or {}),
            workflow_settings=WorkflowSettings(runtime_source_cache_path=cache),
            deployment_settings=DeploymentSettings(deployment_method=methods),
            snakefile=directory / "Snakefile",
            workdir=directory,
        )
        made.dag(DAGSettings())
        workflow = made._workflow  # noqa: SLF001 - the API runs workflows, and here none is run
        workflow.execution_settings = ExecutionSettings()
        workflow.remote_execution_settings = RemoteExecutionSettings()
        workflow.group_settings = GroupSettings()
        workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("frceapi")  # noqa: SLF001
        try:
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)  # noqa: SLF001
            workflow._build_dag()  # noqa: SLF001
            workflow.async_run(workflow.dag.postprocess(update_needrun=False, check_initial=True))
            yield workflow
        finally:
            for runner in workflow._async_runners.values():  # noqa: SLF001
                runner.close()
            os.chdir(former)


def ready_jobs(workflow: Any) -> dict[str, Any]:
    """Return the jobs by the names of their rules, made ready as the scheduler does."""
    jobs = {job.rule.name: job for job in workflow.dag.jobs}
    for job in jobs.values():
        job.reset_params_and_resources()
    return jobs
