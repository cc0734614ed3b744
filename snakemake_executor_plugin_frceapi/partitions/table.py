"""The partitions of a cluster as a table: which one takes a job, and why another does not.

A cluster may accept a job that is over a partition's caps and let it wait for ever, so they are checked before a job is
submitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.partitions.need import CAPS, Need


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition.

    Attributes:
        name: its name.
        caps: its caps by their keys in `CAPS`; what has none is not limited.
        max_gpu: GPUs that a job can have there.
        gpu_models: their models, empty where these are not known.
        provides_gpu: GPUs that each job gets there without asking, which is the only way with this API.
        supports_mpi: whether MPI jobs run there.
        cluster: the cluster of several that it belongs to, None for the one that the API submits to.
        only_named: whether it is left to jobs that name it.
        default_runtime_minutes: time limit in minutes of a job that asks for none, None where that is not known.
        default_mem_mb_per_cpu: memory per CPU in MB of a job that asks for none, likewise.
    """

    name: str
    caps: Mapping[str, float] = field(default_factory=dict)
    max_gpu: int = 0
    gpu_models: tuple[str, ...] = ()
    provides_gpu: int = 0
    supports_mpi: bool = True
    cluster: str | None = None
    only_named: bool = False
    default_runtime_minutes: int | None = None
    default_mem_mb_per_cpu: int | None = None

    def broken_caps(self, need: Need) -> dict[str, str]:
        """Return what keeps a job out, as clauses by the key of the cap; empty: nothing does."""
        asked = {key: CAPS[key].amount(need) or 0 for key in self.caps}
        broken = {
            key: f"{amount} {CAPS[key].what}, at most {self.caps[key]:.15g}"
            for key, amount in asked.items()
            if amount > self.caps[key]
        }
        if need.mpi and not self.supports_mpi:
            broken["supports_mpi"] = "no MPI"
        if need.gpu > self.provides_gpu:
            broken["provides_gpu"] = f"gives a job {self.provides_gpu or 'no'} GPU unasked"
        if need.gpu and need.gpu_model and self.gpu_models and need.gpu_model not in self.gpu_models:
            broken["available_gpu_models"] = f"no GPU of model {need.gpu_model}"
        return broken

    def score(self, need: Need) -> float:
        """Return how well a job fits that breaks no cap: the sum of the parts of the caps that it asks for."""
        score = -1.0 if not need.gpu and (self.max_gpu or self.provides_gpu) else 0.0
        for key, cap in self.caps.items():
            if (amount := CAPS[key].amount(need)) and math.isfinite(cap):
                score += CAPS[key].scored * amount / cap
        return score + (need.gpu / self.max_gpu if self.max_gpu else 0.0)


Option: TypeAlias = Callable[[str, str], str]
"""Returns the option of Snakemake that gives a resource of the job at hand a value."""

_Found: TypeAlias = tuple[Partition, Mapping[str, str]]
"""A partition, and what keeps a job out of it."""


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a submit filter: jobs of up to `minutes` go to `partition`."""

    minutes: float
    partition: str


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """The partitions of a cluster, in the order in which they are preferred.

    Attributes:
        source: where they are written, for messages; empty where nothing is known of the cluster's partitions.
        partitions: the partitions.
        moves: what the site's submit filter does with jobs that have a time limit: it moves them among the partitions
            that are named here, to that of the first line whose time is long enough.
        facts: the date of what is written there, for people.
        sources: from where that is known, for people.
    """

    source: str = ""
    partitions: tuple[Partition, ...] = ()
    moves: tuple[Move, ...] = ()
    facts: str = ""
    sources: tuple[str, ...] = ()

    def moved(self, name: str, minutes: int | None) -> str:
        """Return the partition in which a job runs that is sent to partition `name`."""
        if minutes is None or name not in {move.partition for move in self.moves}:
            return name
        return next((move.partition for move in self.moves if minutes <= move.minutes), name)

    def choose(self, need: Need, option: Option) -> str:
        """Return the partition that fits a job best, of those that fit alike the first.

        Args:
            need: what the job needs.
            option: for the remedy.

        Raises:
            JobError: none does, or none is known.
        """
        if not self.partitions:
            remedy = option("slurm_partition", "NAME")
            raise JobError(f"no partition is given; set --frceapi-partition for all rules, or {remedy}")
        found = [(partition, self._obstacles(partition, need)) for partition in self.partitions]
        fitting = [partition for partition, obstacles in found if not obstacles]
        if fitting:
            return max(fitting, key=lambda partition: partition.score(need)).name
        raise JobError(f"no partition takes {need} ({_listed(found)}); {_remedy(need, found, option)}")

    def takes(self, need: Need, name: str) -> bool:
        """Whether a job fits a partition; one that the table does not have takes any job that needs no GPU."""
        return not self._runs_in(need, name).broken_caps(need)

    def check(self, need: Need, name: str, option: Option) -> None:
        """Check that a job fits the partition that was named for it.

        Args:
            need: what the job needs.
            name: the partition.
            option: for the remedy.

        Raises:
            JobError: it does not fit.
        """
        partition = self._runs_in(need, name)
        if not (broken := partition.broken_caps(need)):
            return
        place = partition.name
        moved = f", to which jobs of {need.runtime_minutes} min are moved from {name}," if place != name else ""
        raise JobError(
            f"partition {place}{moved} does not take {need} ({', '.join(broken.values())}); "
            f"name another partition, or {_remedy(need, [(partition, broken)], option)}"
        )

    def _runs_in(self, need: Need, name: str) -> Partition:
        place = self.moved(name, need.runtime_minutes)
        return next((partition for partition in self.partitions if partition.name == place), Partition(name=place))

    def _obstacles(self, partition: Partition, need: Need) -> dict[str, str]:
        """What keeps a job out that names no partition, by the key that says so."""
        if partition.cluster is not None:
            return {"cluster": f"belongs to cluster {partition.cluster}"}
        broken = partition.broken_caps(need)
        if (place := self.moved(partition.name, need.runtime_minutes)) != partition.name:
            return {"moves": f"jobs of {need.runtime_minutes} min are moved to {place}"}
        if partition.only_named and not need.gpu:
            return {"only_named": "takes only jobs that name it"} | broken
        return broken


NO_TABLE = PartitionTable()
"""Where nothing is known of the partitions."""


def _listed(found: Sequence[_Found]) -> str:
    """Name the partitions with what keeps a job out of each, those that are alike together."""
    alike: dict[str, list[str]] = {}
    for partition, obstacles in found:
        alike.setdefault(", ".join(obstacles.values()), []).append(partition.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in alike.items())


def _remedy(need: Need, found: Sequence[_Found], option: Option) -> str:
    """Return what to change, given what keeps a job out of each partition."""
    return " or ".join(_remedies(need, found, option)) or f"name one with {option('slurm_partition', 'NAME')}"


def _remedies(need: Need, found: Sequence[_Found], option: Option) -> Iterator[str]:
    capped = [obstacles for _, obstacles in found if obstacles.keys() <= CAPS.keys()]
    if capped:
        options = dict.fromkeys(option(CAPS[key].resource, "NUMBER") for key in min(capped, key=len))
        yield f"ask for less with {' '.join(options)}"
    for partition, obstacles in found:
        if list(obstacles) == ["only_named"] and not partition.max_gpu:
            yield f"name it with {option('slurm_partition', partition.name)}"
    if need.gpu:
        yield f"take the GPUs out with {option('gpu', '0')}"
        yield "write provides_gpu into a file for --frceapi-partition-config, if a partition gives GPUs unasked"
