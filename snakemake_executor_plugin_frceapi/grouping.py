"""What a group of jobs asks for, from what its members ask for. Snakemake's own objects are read, not its interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snakemake_executor_plugin_frceapi.resources import NOT_SUMMED


def members_of(job: Any) -> list[Any]:
    """Return the jobs of a group job, or a single job itself."""
    return list(job) if job.is_group() else [job]


def group_resources(group: Any) -> dict[str, Any]:
    """Return what a group asks for, which Snakemake adds up for jobs that run beside one another.

    Memory per CPU does not grow with the number of jobs, and a group is one task, unless one of its rules uses MPI.
    """
    found = dict(group.resources.items())
    for name in NOT_SUMMED:
        asked = [value for job in group.jobs if isinstance(value := job.resources.get(name), int)]
        if asked and isinstance(found.get(name), int) and not (name == "tasks" and found.get("mpi")):
            found[name] = max(asked)
    return found


def foreseen_resources(group: Any, resources_of: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a group will ask for, without touching it: it keeps what it was asked for once.

    Args:
        group: Snakemake's group job.
        resources_of: returns the resources of one member.

    Raises:
        Exception: what `resources_of` raises, or Snakemake where they cannot be added up.
    """
    layers = [[_Member(resources_of(job)) for job in layer] for layer in group.toposorted]
    return group_resources(_Foreseen(group, layers))


@dataclass(frozen=True, slots=True)
class _Member:
    """Stands for a member, with all that Snakemake reads of it to add up resources."""

    resources: Mapping[str, Any]
    pipe_group: None = None


class _Foreseen:
    """Stands for a group whose members stand for its members; Snakemake's own code adds up what they ask for."""

    _resources = None

    def __init__(self, group: Any, layers: list[list[_Member]]) -> None:
        self.groupid = group.groupid
        self.dag = group.dag
        self.global_resources = group.global_resources
        self.toposorted = layers
        self.jobs = [member for layer in layers for member in layer]
        self._add_up = type(group).resources.fget

    @property
    def resources(self) -> Any:
        return self._add_up(self)
