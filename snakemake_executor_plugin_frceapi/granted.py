"""What Slurm gave a job against what was asked for it.

How numbers and memory are written in a request is not documented, and a service may ignore a key in silence. The job
itself knows what it got (sbatch(1), "OUTPUT ENVIRONMENT VARIABLES") and records it as it starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from snakemake_executor_plugin_frceapi.job import JobRequest

_NUMBERS = "--frceapi-number-format string"
_MEMORY = "--frceapi-memory-unit M, or --frceapi-number-format string"
_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d+):(\d+)")

_FIELDS = {
    "ntasks": ("ntasks", "ntasks", _NUMBERS),
    "ntasks-per-core": ("ntasks_per_core", "ntasks_per_core", _NUMBERS),
    "ntasks-per-node": ("ntasks_per_node", "ntasks_per_node", _NUMBERS),
    "cpus-per-task": ("cpus_per_task", "cpus_per_task", _NUMBERS),
    "mem-per-cpu": ("mem_mb_per_cpu", "mem_per_cpu", _MEMORY),
    "mem-per-node": ("mem_mb_per_node", "mem_per_node", _MEMORY),
}
"""Key of the API → field of a request, field of a start marker, and what to try when they differ."""


class GrantCheck:
    """Compares each key of the API once in a run, with the first job that asks for it."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def is_due(self, request: JobRequest) -> bool:
        """Return whether a request holds a key that was not compared yet."""
        return not self._seen.issuperset(asked_keys(request))

    def warnings(self, external_jobid: str, request: JobRequest, given: Mapping[str, str]) -> list[str]:
        """Return a line for each key that was given otherwise, unless it was compared before.

        Args:
            external_jobid: the job, for the lines.
            request: what was asked.
            given: what the job recorded of what it got.
        """
        new = {key: text for key, text in differences(request, given) if key not in self._seen}
        self._seen |= asked_keys(request)
        return [f"Job {external_jobid} {text}" for text in new.values()]


def asked_keys(request: JobRequest) -> set[str]:
    """Return the keys of the API that a request asks for and that a job can compare.

    The partition is not one of them: a submit filter of the site may change it.
    """
    keys = {key for key, (name, _, _) in _FIELDS.items() if getattr(request, name) is not None}
    keys |= {"dependency"} if request.dependency else set()
    return keys | ({"timelimit"} if request.time_limit_minutes else set())


def comparison(request: JobRequest, given: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield each key of the API that a request asks for and that a job can compare, what was asked, what was given."""
    for key, (name, field, _) in _FIELDS.items():
        if (asked := getattr(request, name)) is not None:
            unit = " MB" if key.startswith("mem-") else ""
            yield key, f"{asked}{unit}", f"{got}{unit}" if (got := given.get(field)) else ""
    if request.time_limit_minutes:
        yield "timelimit", f"{request.time_limit_minutes} min", given.get("time_limit", "")


def differences(request: JobRequest, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Compare what was asked with what was given.

    Yields:
        For each key that differs, the key and a clause that says how, with the setting to change.
    """
    traded = {"cpus-per-task", "mem-per-cpu"} if _is_traded(request, given) else set()
    for key, (name, field, remedy) in _FIELDS.items():
        asked, got = getattr(request, name), given.get(field, "")
        is_default = key == "ntasks" and asked == 1 and not got
        if asked is not None and got != str(asked) and not is_default and key not in traded:
            yield key, f"asked for {key}={asked} and got {got or 'none'}; try {remedy}."
    if request.dependency and not given.get("dependency"):
        yield "dependency", f"asked for dependency={request.dependency} and got none: it may have started too early."
    got_minutes = minutes(given.get("time_limit", ""))
    if request.time_limit_minutes and got_minutes not in (None, request.time_limit_minutes):
        yield "timelimit", f"asked for a time limit of {request.time_limit_minutes} min and got {given['time_limit']}."
    yield from _cpus(request, given)


def minutes(text: str) -> int | None:
    """Return the minutes of a time limit as scontrol(1) shows it, 0 for none, None where nothing is known."""
    if match := _TIME.fullmatch(text):
        days, hours, mins, seconds = (int(part or 0) for part in match.groups())
        return days * 1440 + hours * 60 + mins + (seconds > 0)
    return 0 if text == "UNLIMITED" else None


def _is_traded(request: JobRequest, given: Mapping[str, str]) -> bool:
    """Return whether a job got more CPUs with less memory each, as much in all (sbatch(1), ``--mem-per-cpu``).

    Slurm does so where a site limits the memory per CPU.
    """
    cpus, memory = given.get("cpus_per_task", ""), given.get("mem_per_cpu", "")
    if not (request.cpus_per_task and request.mem_mb_per_cpu and cpus.isdigit() and memory.isdigit()):
        return False
    asked_mb = request.cpus_per_task * request.mem_mb_per_cpu
    return int(cpus) > request.cpus_per_task and int(cpus) * int(memory) >= asked_mb


def _cpus(request: JobRequest, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """CPUs that Slurm granted on the node, and CPUs that the node lets the job use, where the key itself arrived."""
    asked = request.cpus_per_task
    if given.get("cpus_per_task") != str(asked):
        return
    for field, words in (("cpus_on_node", "granted on its node"), ("cpus_usable", "usable on its node")):
        got = given.get(field, "")
        if asked and got.isdigit() and int(got) < asked:
            yield "cpus-per-task", f"asked for cpus-per-task={asked}, but only {got} CPUs are {words}."
            return
