"""The rules of ``submit_job``: from the bytes of a POST to a `Submission`, or a refusal in the API's words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

KEYS = frozenset(
    {
        "script-body",
        "partition",
        "ntasks",
        "ntasks-per-core",
        "ntasks-per-node",
        "cpus-per-task",
        "mem-per-cpu",
        "mem-per-node",
        "dependency",
        "timelimit",
    }
)
"""The keys of the request body that the API's page documents."""

SUBMISSION_FAILED = "backend_query_job_submission_failed"

_TIME_LIMIT = re.compile(r"(\d{2})-([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", re.ASCII)
_MEMORY = re.compile(r"(\d{1,15})([KMGT]?)", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)
_KB_PER_UNIT = {"K": 1, "M": 1024, "": 1024, "G": 1024**2, "T": 1024**3}


class Refused(Exception):
    """The service refuses a submission.

    Attributes:
        code: the documented reason.
        detail: what was wrong, for the sandbox's own log; the service does not say it.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What one accepted POST asks for; None where it does not say.

    Attributes:
        script: the batch script without its ``#SBATCH`` lines.
        partition: the partition that was asked for.
        ntasks: as ``sbatch --ntasks``.
        ntasks_per_core: 1 or 2.
        ntasks_per_node: as ``sbatch --ntasks-per-node``.
        cpus_per_task: as ``sbatch --cpus-per-task``.
        mem_mb_per_cpu: in MB; 0 means all memory.
        mem_mb_per_node: in MB; 0 means all memory.
        dependency: the Slurm dependency expression as it was written.
        time_limit_s: in seconds; 0 means no limit.
        ignored_keys: keys of the body that mean nothing to the API.
    """

    script: str
    partition: str
    ntasks: int | None = None
    ntasks_per_core: int | None = None
    ntasks_per_node: int | None = None
    cpus_per_task: int | None = None
    mem_mb_per_cpu: int | None = None
    mem_mb_per_node: int | None = None
    dependency: str | None = None
    time_limit_s: int | None = None
    ignored_keys: tuple[str, ...] = ()

    @property
    def tasks(self) -> int:
        """How many tasks the job gets; a count per node alone means one node, as in sbatch(1)."""
        return self.ntasks or self.ntasks_per_node or 1

    @property
    def nodes(self) -> int:
        """How many nodes Slurm would say the job has."""
        return -(-self.tasks // self.ntasks_per_node) if self.ntasks_per_node else 1

    @property
    def cpus(self) -> int:
        """CPUs of the whole job."""
        return self.tasks * (self.cpus_per_task or 1)


def parse_body(body: bytes, content_type: str | None, max_bytes: int) -> dict[str, object]:
    """The JSON object in a POST.

    Raises:
        Refused: ``postdata_too_big`` or ``postdata_parse_error``.
    """
    if len(body) > max_bytes:
        raise Refused("postdata_too_big", f"{len(body)} bytes, at most {max_bytes}")
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("postdata_parse_error", f"Content-Type {content_type!r} is not application/json")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Refused("postdata_parse_error", str(error)) from error
    if not isinstance(document, dict):
        raise Refused("postdata_parse_error", "the body is not a JSON object")
    return document


def read_submission(document: Mapping[str, object], partitions: Container[str]) -> Submission:
    """The submission that a request body describes.

    Args:
        document: the parsed body.
        partitions: names of the partitions that take API jobs.

    Raises:
        Refused: with the documented reason.
    """
    partition = _partition(document.get("partition"), partitions)
    if document.get("mem-per-cpu") is not None and document.get("mem-per-node") is not None:
        raise Refused("conflicting_mem_specifications", "both mem-per-cpu and mem-per-node")
    return Submission(
        partition=partition,
        ntasks=_tasks(document, "ntasks"),
        ntasks_per_core=_tasks(document, "ntasks-per-core", maximum=2),
        ntasks_per_node=_tasks(document, "ntasks-per-node"),
        cpus_per_task=_count(document, "cpus-per-task", SUBMISSION_FAILED),
        mem_mb_per_cpu=_memory(document, "mem-per-cpu"),
        mem_mb_per_node=_memory(document, "mem-per-node"),
        dependency=_text(document, "dependency") or None,
        time_limit_s=_time_limit(document),
        script=_script(document),
        ignored_keys=tuple(sorted(set(document) - KEYS)),
    )


def strip_directives(script: str) -> str:
    """The script without its ``#SBATCH`` lines, which the service strips."""
    return "".join(line for line in script.splitlines(keepends=True) if not line.startswith("#SBATCH"))


def _partition(value: object, partitions: Container[str]) -> str:
    if value is None or value == "":
        raise Refused("no_partition_given")
    if not isinstance(value, str) or value not in partitions:
        raise Refused("bad_partition", repr(value))
    return value


def _tasks(document: Mapping[str, object], key: str, maximum: int = 10**9) -> int | None:
    count = _count(document, key, "bad_number_of_tasks")
    if count is not None and count > maximum:
        raise Refused("bad_number_of_tasks", f"{key} {count} is over {maximum}")
    return count


def _count(document: Mapping[str, object], key: str, code: str) -> int | None:
    """A positive number, written as a JSON integer or as a string of digits."""
    value = document.get(key)
    if value is None:
        return None
    text = str(value) if _is_integer(value) or isinstance(value, str) else ""
    if not _DIGITS.fullmatch(text) or int(text) == 0:
        raise Refused(code, f"{key} {value!r} is not a positive number")
    return int(text)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _memory(document: Mapping[str, object], key: str) -> int | None:
    """Memory in MB, rounded up; a bare number is MB and units are powers of 1024, as in sbatch(1)."""
    value = document.get(key)
    if value is None:
        return None
    found = _MEMORY.fullmatch(str(value)) if _is_integer(value) or isinstance(value, str) else None
    if found is None:
        raise Refused(SUBMISSION_FAILED, f"{key} {value!r} is not a memory size")
    return -(-int(found[1]) * _KB_PER_UNIT[found[2].upper()] // 1024)


def _time_limit(document: Mapping[str, object]) -> int | None:
    text = _text(document, "timelimit")
    if text is None:
        return None
    found = _TIME_LIMIT.fullmatch(text)
    if found is None:
        raise Refused(SUBMISSION_FAILED, f"timelimit {text!r} is not DD-HH:MM:SS")
    days, hours, minutes, seconds = map(int, found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _script(document: Mapping[str, object]) -> str:
    script = _text(document, "script-body") or ""
    if not script.startswith("#!") or not script[2:].split("\n", 1)[0].strip() or "\0" in script:
        raise Refused(SUBMISSION_FAILED, "script-body is not a script with a shebang line")
    return strip_directives(script)


def _text(document: Mapping[str, object], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise Refused(SUBMISSION_FAILED, f"{key} {value!r} is not a string")
    return value
