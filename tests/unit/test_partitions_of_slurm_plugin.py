"""A partition file means here what it means to the slurm plugin: both read it, and choose as well for the same job."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.partitions.duration import minutes
from snakemake_executor_plugin_frceapi.partitions.file import parse_table
from snakemake_executor_plugin_frceapi.partitions.need import CAPS, Need
from snakemake_executor_plugin_frceapi.resources import RequestDefaults, build_request
from tests.slurm_plugin import PLACE, WHY_NOT


@pytest.fixture(scope="module")
def slurm() -> Iterator[ModuleType]:
    """The slurm plugin's own module of partitions."""
    if not PLACE.exists():
        pytest.skip(WHY_NOT)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PLACE))
        from snakemake_executor_plugin_slurm import partitions

        yield partitions


def elsewhere(limit: dict[str, Any]) -> dict[str, Any]:
    """The limits of a partition of another cluster."""
    return {**limit, "cluster": "other"}


numbers = st.integers(1, 40)
large = st.integers(20, 60)
limits = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["max_mem_mb", "max_mem_mb_per_cpu", "max_cpus_per_task", "max_threads"], large),
        **dict.fromkeys(["max_nodes", "max_tasks", "max_tasks_per_node"], st.integers(1, 8)),
        "max_runtime": large | large.map(lambda number: f"{number}m") | st.just(math.inf),
        "max_gpu": st.integers(0, 3),
        "available_gpu_models": st.sampled_from([None, ["a100"], ["t4", "a100"]]),
        "max_cpus_per_gpu": numbers,
        "supports_mpi": st.booleans(),
        "available_constraints": st.just(["avx512"]),
    },
)
tables = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), limits | limits.map(elsewhere), min_size=1)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """Resources and threads of a job that both plugins understand alike."""
    resources: dict[str, Any] = {draw(st.sampled_from(["mem_mb", "mem_mb_per_cpu"])): draw(numbers)}
    resources["tasks"] = draw(st.integers(1, 6))
    if draw(st.booleans()):
        resources["nodes"], resources["tasks_per_node"] = resources["tasks"], 1
    if draw(st.booleans()):
        resources["runtime"] = draw(numbers)
    if draw(st.booleans()):
        resources["gpu"] = draw(st.integers(1, 3))
        resources |= draw(st.sampled_from([{}, {"gpu_model": "a100"}]))
    if draw(st.booleans()):
        resources["mpi"] = "srun"
    return resources, draw(numbers)


def file_of(table: dict[str, Any]) -> str:
    """The text of a partition file, in which each partition gives its GPUs unasked: the slurm plugin asks for them."""
    own = {name: {"provides_gpu": limit["max_gpu"]} for name, limit in table.items() if limit.get("max_gpu")}
    return yaml.safe_dump({"partitions": table, "frceapi": {"partitions": own}}, sort_keys=False)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables, jobs())
def test_chooses_as_the_slurm_plugin_does(
    slurm: ModuleType, tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any], job: tuple[dict[str, Any], int]
) -> None:
    """A job fits as well to both, in each partition, so that the same one fits best, or none."""
    resources, threads = job
    assume("mem_mb" in resources or not any("max_mem_mb" in limit for limit in table.values()))
    file = tmp_path_factory.getbasetemp() / "table.yaml"
    file.write_text(file_of(table))
    known = parse_table(file.read_text(), "")
    assume("gpu" not in resources or any(partition.provides_gpu for partition in known.partitions))
    need = Need(
        cpus_per_task=threads,
        mem_mb_per_node=resources.get("mem_mb"),
        runtime_minutes=resources.get("runtime"),
        **{key: value for key, value in resources.items() if key not in {"mem_mb", "nodes", "runtime", "mpi"}},
        mpi="mpi" in resources,
    )
    peer = SimpleNamespace(resources=resources, threads=threads, name="align")
    scores = {item.name: item.score_job_fit(peer) for item in slurm.read_partition_file(file)}
    for partition in known.partitions:
        fits = partition.cluster is None and not partition.broken_caps(need)
        assert scores[partition.name] == (pytest.approx(partition.score(need)) if fits else None)

    scores = {name: score for name, score in scores.items() if score is not None}
    defaults = RequestDefaults(None, 1, None, known)
    if not scores:
        with pytest.raises(JobError, match="no partition takes"):
            build_request("align", resources, threads, defaults)
        return
    ours, _ = build_request("align", resources, threads, defaults)
    assert scores[ours.partition] == pytest.approx(max(scores.values()))


@settings(deadline=None)
@given(tables)
def test_reads_what_the_slurm_plugin_reads(
    slurm: ModuleType, tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any]
) -> None:
    """Each cap has the same number, and none where the file says nothing."""
    file = tmp_path_factory.getbasetemp() / "table.yaml"
    file.write_text(file_of(table))
    theirs = slurm.read_partition_file(file)
    ours = parse_table(file.read_text(), "").partitions

    assert [item.name for item in theirs] == [item.name for item in ours]
    for peer, partition in zip(theirs, ours, strict=True):
        caps = {key: getattr(peer.limits, key) for key in CAPS if key != "max_cpus_per_user"}
        assert {key: partition.caps.get(key, math.inf) for key in caps} == caps
        assert (partition.max_gpu, partition.supports_mpi) == (peer.limits.max_gpu, peer.limits.supports_mpi)
        assert list(partition.gpu_models) == (peer.limits.available_gpu_models or [])
        assert partition.cluster == peer.partition_cluster


def test_knows_each_key_of_the_slurm_plugin(slurm: ModuleType) -> None:
    """A file with every key that the slurm plugin has is no unknown key here."""
    values = {"available_gpu_models": [], "available_constraints": [], "supports_mpi": True}
    names = [*slurm.PartitionLimits.__dataclass_fields__, "cluster", "clusters", "slurm_cluster"]
    for name in names:
        value = "other" if "cluster" in name else values.get(name, 1)
        assert parse_table(yaml.safe_dump({"partitions": {"a": {name: value}}}), "").partitions


units = st.sampled_from(["d", "h", "m", "s"])
amounts = st.integers(0, 999).map(str) | st.decimals(0, 99, places=1).map(str)
times = (
    st.integers(0, 10**6)
    | st.floats(0, 10**6)
    | amounts
    | st.lists(st.tuples(amounts, units).map("".join), min_size=1, max_size=3).map("".join)
    | st.builds("{}:{}".format, numbers, numbers)
    | st.builds("{}:{}:{}".format, numbers, numbers, numbers)
    | st.builds("{}-{}".format, numbers, numbers)
    | st.builds("{}-{}:{}".format, numbers, numbers, numbers)
    | st.builds("{}-{}:{}:{}".format, numbers, numbers, numbers, numbers)
)


@given(times)
def test_reads_times_as_the_slurm_plugin_does(slurm: ModuleType, value: float | str) -> None:
    """A time limit is as many minutes to both."""
    assert minutes(value) == slurm.parse_time_to_minutes(value)
