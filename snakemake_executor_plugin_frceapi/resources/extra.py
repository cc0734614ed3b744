"""The resource ``slurm_extra``: options of sbatch(1) as free text, read for what the API can say as well."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping

from snakemake_executor_plugin_frceapi.errors import JobError

_MOST_DIGITS = 12
_NUMBER = re.compile(rf"[1-9][0-9]{{0,{_MOST_DIGITS - 1}}}")
_MEMORY = re.compile(rf"([1-9][0-9]{{0,{_MOST_DIGITS - 1}}})([KMGT]?)B?", re.IGNORECASE | re.ASCII)
_MEMORY_NAMES = {"mem_mb", "mem_mb_per_cpu"}
_KB = {"K": 1, "": 1024, "M": 1024, "G": 1024**2, "T": 1024**3}
_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,6})(?::(\d{1,6}))?(?::(\d{1,6}))?", re.ASCII)
_LONG, _SHORT = re.compile(r"(--[a-z][a-z-]*)(?:=(.*))?", re.DOTALL), re.compile(r"(-[A-Za-z])=?(.*)", re.DOTALL)


def parse_extra(text: str) -> dict[str, int | str]:
    """Return the resources that options of sbatch(1) stand for.

    Args:
        text: the options as in a shell line, such as ``--time=2:00:00 -n 4``. Of an option that stands there twice the
            last counts, as sbatch reads it.

    Raises:
        JobError: one of them cannot be expressed, or its value is not understood.
    """
    found: dict[str, int | str] = {}
    for option, value in _options(text):
        name, read = OPTIONS[option]
        found[name] = read(option, value)
    if set(found) >= _MEMORY_NAMES:
        raise JobError("--mem and --mem-per-cpu exclude each other; leave one of them out")
    return found


def merged(resources: Mapping[str, object], extra: Mapping[str, int | str]) -> dict[str, object]:
    """Return the resources of a job with those of its ``slurm_extra``, which win as the last options of sbatch do."""
    dropped = {"slurm_extra"} | (_MEMORY_NAMES if _MEMORY_NAMES & set(extra) else set())
    return {**{name: value for name, value in resources.items() if name not in dropped}, **extra}


def _options(text: str) -> Iterator[tuple[str, str]]:
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise JobError(f"the quotes do not match ({str(error).lower()}); mend them") from None
    for word in words:
        match = _LONG.fullmatch(word) or _SHORT.fullmatch(word)
        if match is None:
            raise JobError(f"{word!r} is no option of sbatch; write OPTION=VALUE, separated by spaces")
        option = match[1]
        if option not in OPTIONS:
            raise JobError(f"the API cannot express {option}; take it out")
        value = match[2] or next(words, "")
        if not value:
            raise JobError(f"{option} has no value; write {option}=VALUE")
        yield option, value


def _number(option: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise JobError(f"{option}={value!r} is not a whole number from 1; write one")
    return int(value)


def _megabytes(option: str, value: str) -> int:
    """Memory in MB, rounded up; sbatch(1): a bare number is MB, and 0 is all memory of the node, which is refused."""
    match = _MEMORY.fullmatch(value)
    if match is None:
        raise JobError(f"{option}={value!r} is not an amount of memory from 1K; write it as 4000M or 4G")
    return -(-int(match[1]) * _KB[match[2].upper()] // 1024)


def _minutes(option: str, value: str) -> int:
    """A time limit in minutes, rounded up.

    sbatch(1) takes M, M:S, H:M:S, D-H, D-H:M and D-H:M:S; 0 is no limit, which is refused.
    """
    match = _TIME.fullmatch(value)
    parts = [int(part) for part in match.groups()[1:] if part is not None] if match else []
    if match and match[1] is None and len(parts) < 3:
        parts.insert(0, 0)
    hours, minutes, seconds = [*parts, 0, 0, 0][:3]
    days = int(match[1] or 0) if match else 0
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not total:
        raise JobError(f"{option}={value!r} is no time limit; write minutes, or D-HH:MM:SS")
    return -(-total // 60)


def _text(_option: str, value: str) -> str:
    return value


OPTIONS: dict[str, tuple[str, Callable[[str, str], int | str]]] = {
    **dict.fromkeys(("--time", "-t"), ("runtime", _minutes)),
    "--mem": ("mem_mb", _megabytes),
    "--mem-per-cpu": ("mem_mb_per_cpu", _megabytes),
    **dict.fromkeys(("--ntasks", "-n"), ("tasks", _number)),
    "--ntasks-per-node": ("tasks_per_node", _number),
    "--ntasks-per-core": ("ntasks_per_core", _number),
    **dict.fromkeys(("--cpus-per-task", "-c"), ("cpus_per_task", _number)),
    **dict.fromkeys(("--nodes", "-N"), ("nodes", _number)),
    **dict.fromkeys(("--partition", "-p"), ("slurm_partition", _text)),
    **dict.fromkeys(("--dependency", "-d"), ("dependency", _text)),
    **dict.fromkeys(("--account", "-A"), ("slurm_account", _text)),
    **dict.fromkeys(("--qos", "-q"), ("qos", _text)),
}
"""Option of sbatch(1) → resource, and how its value is read."""
