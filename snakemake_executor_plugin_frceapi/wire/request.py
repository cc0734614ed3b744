"""A job request as the body of ``submit_job``.

Every value is checked against what the API and Slurm can take before it is written, so that nothing else gets through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique

from snakemake_executor_plugin_frceapi.errors import JobError, SettingsError
from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.wire.words import printable

MAX_REQUEST_BYTES = 4000
"""A request body must be smaller than this ("4 KB" on the page, which does not say which kilobyte)."""

_MAX_DAYS = 99
_MAX_COUNT = 65_533
_MAX_MEM_MB = 1 << 30
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_MEMORY_FACTORS = {"K": 1024.0, "M": 1.0, "G": 1 / 1024}
_PARTITION = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}")
_DEPENDENCY = re.compile(r"[A-Za-z0-9_:+,?]+")


class RequestTooLarge(JobError):
    """A job request does not fit into what the API takes.

    Attributes:
        size: how many bytes it has.
        key: the key of the API that takes most of them.
    """

    def __init__(self, message: str, size: int, key: str) -> None:
        super().__init__(message)
        self.size = size
        self.key = key


@unique
class NumberFormat(Enum):
    """How counts are written; the page does not say which form the service reads."""

    INTEGER = "integer"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How values are written where the API's page leaves it open.

    Attributes:
        number_format: JSON integers or strings of digits.
        memory_unit: None for a bare number of MB (Slurm's default unit), else ``K``, ``M`` or ``G`` (rounded up)
            appended to it, which makes it a string.
    """

    number_format: NumberFormat = NumberFormat.INTEGER
    memory_unit: str | None = None

    def __post_init__(self) -> None:
        """Refuse a unit that Slurm does not have."""
        if self.memory_unit is not None and self.memory_unit not in _MEMORY_FACTORS:
            raise SettingsError(f"--frceapi-memory-unit is {self.memory_unit!r}: use none, K, M or G")

    def number(self, value: int) -> int | str:
        """Write a count."""
        return value if self.number_format is NumberFormat.INTEGER else str(value)

    def memory(self, mem_mb: int) -> int | str:
        """Write an amount of memory given in MB."""
        if self.memory_unit is None:
            return self.number(mem_mb)
        return f"{-int(-mem_mb * _MEMORY_FACTORS[self.memory_unit] // 1)}{self.memory_unit}"


def encode_request(request: JobRequest, script_body: str, encoding: Encoding) -> bytes:
    """Return the body of ``submit_job``.

    Raises:
        JobError: a value is outside what the API or Slurm can take.
        RequestTooLarge: the body is 4,000 bytes or more.
    """
    document: dict[str, int | str | None] = {
        "script-body": _checked_script(script_body),
        "partition": _matching("partition", request.partition, _PARTITION),
        "ntasks": _count("ntasks", request.ntasks, encoding),
        "ntasks-per-core": _count("ntasks-per-core", request.ntasks_per_core, encoding, maximum=2),
        "ntasks-per-node": _count("ntasks-per-node", request.ntasks_per_node, encoding),
        "cpus-per-task": _count("cpus-per-task", request.cpus_per_task, encoding),
        "mem-per-cpu": _memory("mem-per-cpu", request.mem_mb_per_cpu, encoding),
        "mem-per-node": _memory("mem-per-node", request.mem_mb_per_node, encoding),
        "dependency": _matching("dependency", request.dependency, _DEPENDENCY),
        "timelimit": None if request.time_limit_minutes is None else time_limit_text(request.time_limit_minutes),
    }
    if request.mem_mb_per_cpu is not None and request.mem_mb_per_node is not None:
        raise JobError("memory is asked per CPU and per node: set mem_mb or mem_mb_per_cpu, not both")
    return _sized({key: value for key, value in document.items() if value is not None})


def time_limit_text(minutes: int) -> str:
    """Return a time limit as ``DD-HH:MM:SS``, the one form the API takes.

    Raises:
        JobError: less than a minute (sbatch(1): 0 means no limit) or more than two digits of days.
    """
    _in_range("the time limit in minutes", minutes, (_MAX_DAYS + 1) * 24 * 60 - 1)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days:02d}-{hours:02d}:{minutes:02d}:00"


def _checked_script(script_body: str) -> str:
    if not script_body.startswith("#!"):
        raise JobError(f"the script begins with {script_body[:20]!r}: the API wants a shebang line first")
    if "\0" in script_body:
        raise JobError("the script holds a NUL character, which no shell can read: remove it")
    return script_body


def _matching(key: str, value: str | None, pattern: re.Pattern[str]) -> str | None:
    if value is not None and not pattern.fullmatch(value):
        raise JobError(f"{key} is {printable(value)!r}: only {pattern.pattern} can be sent")
    return value


def _in_range(name: str, value: int, maximum: int) -> int:
    if type(value) is not int or not 1 <= value <= maximum:
        raise JobError(f"{name} is {printable(str(value))}: it must be a whole number from 1 to {maximum:,}")
    return value


def _count(key: str, value: int | None, encoding: Encoding, maximum: int = _MAX_COUNT) -> int | str | None:
    return None if value is None else encoding.number(_in_range(key, value, maximum))


def _memory(key: str, mem_mb: int | None, encoding: Encoding) -> int | str | None:
    return None if mem_mb is None else encoding.memory(_in_range(f"{key} in MB", mem_mb, _MAX_MEM_MB))


def _json(value: object) -> bytes:
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError as err:
        raise JobError("the script holds bytes that are not UTF-8, which JSON cannot carry: rename the file") from err


def _sized(document: Mapping[str, int | str]) -> bytes:
    body = _json(document)
    if len(body) < MAX_REQUEST_BYTES:
        return body
    key = max(document, key=lambda name: len(_json(document[name])))
    remedy = "name fewer jobs in it" if key == "dependency" else "start Snakemake in a directory with a shorter path"
    raise RequestTooLarge(
        f"the job request has {len(body):,} bytes, the API takes fewer than {MAX_REQUEST_BYTES:,}: "
        f"{len(_json(document[key])):,} of them are the {key}; {remedy}",
        len(body),
        key,
    )
