"""Run Snakemake workflows on the FRCE Slurm cluster through its REST API: ``snakemake --executor frceapi``.

Snakemake imports this package at every call, so importing it loads no HTTP and no Kerberos library.
"""

from snakemake_executor_plugin_frceapi.executor import Executor
from snakemake_executor_plugin_frceapi.settings import ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
