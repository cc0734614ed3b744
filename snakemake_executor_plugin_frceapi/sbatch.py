"""A batch script and options of sbatch(1) as a job request, for what is submitted by hand."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from snakemake_executor_plugin_frceapi.dependency import parse
from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.partitions.need import Need
from snakemake_executor_plugin_frceapi.partitions.table import PartitionTable
from snakemake_executor_plugin_frceapi.resources import SBATCH_OPTIONS, parse_extra
from snakemake_executor_plugin_frceapi.wire import MAX_REQUEST_BYTES

_FIELDS = {
    "slurm_partition": "partition",
    "runtime": "time_limit_minutes",
    "cpus_per_task": "cpus_per_task",
    "mem_mb": "mem_mb_per_node",
    "mem_mb_per_cpu": "mem_mb_per_cpu",
    "tasks": "ntasks",
    "tasks_per_node": "ntasks_per_node",
    "ntasks_per_core": "ntasks_per_core",
    "dependency": "dependency",
}
"""Resource → field of a job request; an option of sbatch that stands for another resource cannot be sent."""

EXPRESSIBLE: Mapping[str, Sequence[str]] = {
    name: [option for option, (resource, _) in SBATCH_OPTIONS.items() if resource == name] for name in _FIELDS
}
"""The options of sbatch that the API can express, by the resource that they stand for."""

_DIRECTIVE = "#SBATCH"
_LARGEST_SCRIPT = MAX_REQUEST_BYTES - 500
"""Bytes of a script in JSON that leave room for the other keys."""


def request_of(script: str, options: Sequence[str], table: PartitionTable) -> JobRequest:
    """Return what a script asks for.

    Args:
        script: its text; the options in its ``#SBATCH`` lines count, as for sbatch.
        options: further options, which win over those.
        table: the partitions.

    Raises:
        JobError: an option cannot be expressed, or the job fits no partition.
    """
    asked = parse_extra(shlex.join([*_directives(script), *options]))
    for name in asked:
        if name not in _FIELDS:
            raise JobError(f"the API cannot express {_option(name)}; take it out")
    fields = {_FIELDS[name]: value for name, value in asked.items()}
    if "dependency" in asked:
        parse(str(asked["dependency"]))
    partition = str(fields.pop("partition", ""))
    request = JobRequest(partition=partition, **fields)  # type: ignore[arg-type]  # parse_extra has made the types
    return _placed(request, table)


def sent_script(script: str) -> str:
    """Return a script as it is sent: without the lines that the service takes out.

    Raises:
        JobError: it is too large for a request.
    """
    lines = script.splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(_DIRECTIVE))
    size = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape"))
    if size > _LARGEST_SCRIPT:
        raise JobError(
            f"the script has {size:,} bytes, and the API takes about {_LARGEST_SCRIPT:,}; let a short script run it"
        )
    return text


def _directives(script: str) -> Iterator[str]:
    """Yield the words of the ``#SBATCH`` lines before the first command."""
    for line in script.splitlines():
        if line.startswith(_DIRECTIVE):
            try:
                yield from shlex.split(line.removeprefix(_DIRECTIVE), comments=True)
            except ValueError:
                raise JobError(f"the quotes in the line {line!r} do not match; mend them") from None
        elif line.strip() and not line.startswith("#"):
            return


def _placed(request: JobRequest, table: PartitionTable) -> JobRequest:
    need = Need.of(request)
    if request.partition:
        table.check(need, request.partition, _setting)
        return request
    if not table.partitions:
        raise JobError("no partition is given; name one with --partition")
    return replace(request, partition=table.choose(need, _setting))


def _setting(resource: str, value: str) -> str:
    return f"{_option('cpus_per_task' if resource == 'threads' else resource)}={value}"


def _option(resource: str) -> str:
    return next((option for option, (name, _) in SBATCH_OPTIONS.items() if name == resource), resource)
