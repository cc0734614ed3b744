"""Snakemake's own tests for executor plugins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import snakemake.common.tests
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_frceapi import ExecutorSettings
from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig


class TestWorkflows(snakemake.common.tests.TestWorkflowsLocalStorageBase):  # type: ignore[misc]  # has no types
    """The simple and the group workflow, inside this process."""

    __test__ = True

    @pytest.fixture(autouse=True)
    def _serve(self) -> Iterator[None]:
        # One rule asks for 5 MB, less than Snakemake itself needs: memory is not looked at.
        with Sandbox(SandboxConfig(cpus=8, mem_mb=64_000, memory_interval=3600.0)) as self.sandbox:
            yield
            assert {self.sandbox.wait(jobid).state.value for jobid in self.sandbox.jobs} == {"COMPLETED"}

    def get_executor(self) -> str:
        """The executor's name."""
        return "frceapi"

    def get_executor_settings(self) -> ExecutorSettingsBase:
        """Its settings."""
        return ExecutorSettings(url=self.sandbox.url, partition="norm")
