"""Run Snakemake workflows on the FRCE Slurm cluster through its REST API: ``snakemake --executor frceapi``.

Snakemake imports this package at every call, so importing it loads no HTTP and no Kerberos library. What is only for
Snakemake is loaded when it is asked for: the console command and the courier need neither, nor Snakemake's interface.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.executor import Executor
    from snakemake_executor_plugin_frceapi.settings import ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "executor" if name == "Executor" else "settings"
    return getattr(import_module(f"{__name__}.{home}"), name)
