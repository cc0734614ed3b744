"""The service: how it is reached, and its two calls (`calls`).

Importing this loads no HTTP library, which a process that leaves the calls to another one does not need.
"""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.client.endpoint import ClientConfig, check_url, is_loopback, public_url

__all__ = ["ClientConfig", "check_url", "is_loopback", "public_url"]
