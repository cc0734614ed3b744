"""What a resource in a profile comes to with this plugin, where that is not what the slurm plugin makes of it."""

from __future__ import annotations

import ast

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.resources import (
    NOTED,
    REFUSED,
    SENT,
    RequestDefaults,
    asks_for_something,
    build_request,
)

_DEFAULTS = RequestDefaults(partition="norm", mem_mb_per_cpu=1, runtime_minutes=1)
_BESIDE = {"mem_mb": 1}
"""What every rule has with the default resources of Snakemake."""
_NEED_OTHERS = ("nodes", "mpi")
_NUMBERS = ("mem", "mem_mb", "mem_mib", "mem_mb_per_cpu", "runtime", "cpus_per_task", "tasks", "tasks_per_node")
_SNAKEMAKE_NAMES = {"attempt", "input", "rulename", "system_tmpdir", "threads", "wildcards"}


def hint(rule: str, name: str, text: str) -> str | None:
    """Return a comment on a resource, or None where it is sent as it is or means nothing to a cluster.

    Args:
        rule: name of the rule, for the remedy.
        name: name of the resource.
        text: its value as the profile has it. Snakemake takes it as Python, or as text where it is none.
    """
    value = _literal(text)
    shown = text if value is None else value
    if name not in SENT or name in _NEED_OTHERS or (name in _NUMBERS and isinstance(shown, str)):
        return None
    if name in NOTED and asks_for_something(shown):
        return f"{name} is left out, with one warning: the API has no key for it."
    try:
        build_request(rule, {**_BESIDE, name: shown}, 1, _DEFAULTS)
    except JobError as error:
        problem = str(error).removeprefix(f"rule {rule}: ")
        # What is known of an expression is only that it is there.
        return f"Refused: {problem}." if value is not None or name in REFUSED else None
    return None


def _literal(text: str) -> object:
    """The value that a text stands for as Snakemake reads it, None for an expression that is evaluated for each job."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    try:
        names = {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return text if names - _SNAKEMAKE_NAMES or not names else None
