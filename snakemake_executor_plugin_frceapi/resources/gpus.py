"""The GPUs of a job, which the API cannot ask for: it gets those that a partition gives to each of its jobs."""

from __future__ import annotations

import re

from snakemake_executor_plugin_frceapi.partitions.table import PartitionTable
from snakemake_executor_plugin_frceapi.resources.asked import Asked
from snakemake_executor_plugin_frceapi.resources.table import GPU_NAMES

_MODEL = r"[A-Za-z0-9_.-]*[A-Za-z_.-][A-Za-z0-9_.-]*"
_GRES = re.compile(rf"gpu(?::({_MODEL}))?(?::([1-9][0-9]{{0,5}}))?", re.ASCII)


def asked_gpus(asked: Asked, table: PartitionTable) -> tuple[int, str | None]:
    """Return how many GPUs a job asks for, and their model or None for any.

    Args:
        asked: what the job asks for.
        table: the partitions; only where one of them provides GPUs can a job ask for any.

    Raises:
        JobError: the resource cannot be expressed, or is no number or model of GPUs.
    """
    if not any(partition.provides_gpu for partition in table.partitions):
        asked.refuse(*GPU_NAMES)
        return 0, None
    asked.refuse("cpus_per_gpu", "tasks_per_gpu")
    numbers = [asked.check_number(name, value) for name in ("gpu", "gpus") if (value := asked.wish(name)) is not None]
    models = [_model(asked, value)] if (value := asked.wish("gpu_model")) is not None else []
    if (gres := asked.wish("gres")) is not None:
        match = _GRES.fullmatch(str(gres))
        if match is None:
            raise asked.inexpressible("gres")
        models += [match[1]] if match[1] else []
        numbers.append(int(match[2] or 1))
    return max(numbers, default=1 if models else 0), models[0] if models else None


def _model(asked: Asked, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_MODEL, value, re.ASCII):
        raise asked.error(
            f"gpu_model={value!r} is no model of GPUs", "give one name of letters, digits, '_', '.' and '-'"
        )
    return value
