"""Prints by how many bytes the memory of a process grew at most in one status request; run it as a program."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.errors import ServiceError


def peak_bytes() -> int:
    """Return the most memory that this process has had; the peak that getrusage(2) tells is that of its parent, too."""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main(url: str, max_listing_bytes: str, deadline_seconds: str) -> None:
    """Ask twice, and print what the second request has cost."""
    config = ClientConfig(
        url,
        auth="none",
        max_listing_bytes=int(max_listing_bytes),
        status_deadline_seconds=float(deadline_seconds),
    )
    client = Client(config)
    client.query_status()
    before = peak_bytes()
    with suppress(ServiceError):
        client.query_status()
    print(peak_bytes() - before)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
