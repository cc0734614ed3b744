"""The service: its two calls, in this process (`calls`) or in one of their own (`ServiceProcess`).

Importing this loads no HTTP library, which a process that leaves the calls to another one does not need.
"""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.client.endpoint import ClientConfig, check_url, is_loopback, public_url
from snakemake_executor_plugin_frceapi.client.service_process import ServiceProcess

__all__ = ["ClientConfig", "ServiceProcess", "check_url", "is_loopback", "public_url"]
