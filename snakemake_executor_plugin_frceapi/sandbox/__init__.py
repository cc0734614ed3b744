"""A sandbox: the FRCE HPC API on the machine at hand, so that a pipeline can be run and tested without a cluster.

What it is: a small HTTP server with the two calls of the API (``submit_job`` and ``query_status``), a scheduler that
behaves like Slurm where a workflow can notice (partitions and their limits, CPUs and memory, time limits, dependencies,
requeue and preemption) and a runner that starts each job as a local process of the user who started the sandbox. ::

    frceapi sandbox -- snakemake --executor frceapi --jobs 10      # from a shell or a CI runner

    def test_my_workflow(frceapi_sandbox):                         # from pytest, with the fixture of this package
        subprocess.run(["snakemake", "--executor", "frceapi", "--jobs", "10"], check=True)
        assert all(job.state == "COMPLETED" for job in frceapi_sandbox.jobs.values())

    with Sandbox(SandboxConfig(cpus=4, mem_mb=8000)) as sandbox:   # from Python
        sandbox.faults.status_code(503, call="query_status", count=2)
        print(sandbox.public_url)

What it is not: a cluster, or a jail. Jobs are ordinary processes with all rights of their owner; CPUs are counted, not
pinned; memory is sampled about twice a second, so that a short peak is not seen; there is one node; there is no
``module``, no ``srun`` and no GPU. A job that asks for more than the whole machine does not wait for ever: it runs
alone on it (`SandboxConfig.oversized`). Where the API's page is silent it does one plausible thing (`SandboxConfig`).

It is a second, independent reading of that page: the plugin imports nothing from here, and the sandbox nothing from it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
    from snakemake_executor_plugin_frceapi.sandbox.faults import Fault, Reply
    from snakemake_executor_plugin_frceapi.sandbox.jobs import Job, State
    from snakemake_executor_plugin_frceapi.sandbox.partitions import Partition
    from snakemake_executor_plugin_frceapi.sandbox.service import RequestRecord, Sandbox

__all__ = ["Fault", "Job", "Partition", "Reply", "RequestRecord", "Sandbox", "SandboxConfig", "State"]

_HOMES = {
    "Fault": "faults",
    "Job": "jobs",
    "Partition": "partitions",
    "Reply": "faults",
    "RequestRecord": "service",
    "Sandbox": "service",
    "SandboxConfig": "config",
    "State": "jobs",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: every pytest run imports this package, few need its server."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
