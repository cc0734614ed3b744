"""The process of a run that speaks to the service, and writes and clears away the files of each job."""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.courier.process import Courier

__all__ = ["Courier"]
