"""Tests of partition files: what is read, what is refused, and which table applies."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.partitions.duration import minutes
from snakemake_executor_plugin_frceapi.partitions.file import parse_table
from snakemake_executor_plugin_frceapi.partitions.source import VARIABLE, applicable_table, frce_table
from snakemake_executor_plugin_frceapi.partitions.table import NO_TABLE, Move, Partition
from snakemake_executor_plugin_frceapi.settings import DEFAULT_URL

# The example of the slurm plugin's documentation has these keys; the values are made up.
EVERY_KEY = """
    partitions:
      every:
        max_runtime: 2-12:30:00
        max_mem_mb: 500000
        max_mem_mb_per_cpu: 8000.5
        max_cpus_per_task: 32
        max_threads: 64
        max_nodes: 4
        max_tasks: 128
        max_tasks_per_node: 32
        max_gpu: 8
        available_gpu_models: [a100, v100]
        max_cpus_per_gpu: 16
        supports_mpi: false
        max_mpi_tasks: 100
        available_constraints: [avx512]
        cluster: other
      none: {}
      7:
    anything: else
"""


def parse(text: str) -> tuple[Partition, ...]:
    """The partitions of a text."""
    return parse_table(textwrap.dedent(text), "table.yaml").partitions


def test_reads_every_key_of_the_slurm_plugin() -> None:
    """Caps, GPUs, MPI and the cluster have their place; what no job can ask of this API is left."""
    every, none, seven = parse(EVERY_KEY)

    assert every == Partition(
        name="every",
        caps={
            "max_runtime": 3630,
            "max_mem_mb": 500_000,
            "max_mem_mb_per_cpu": 8000.5,
            "max_cpus_per_task": 32,
            "max_threads": 64,
            "max_nodes": 4,
            "max_tasks": 128,
            "max_tasks_per_node": 32,
            "max_mpi_tasks": 100,
        },
        max_gpu=8,
        gpu_models=("a100", "v100"),
        supports_mpi=False,
        cluster="other",
    )
    assert (none, seven) == (Partition(name="none"), Partition(name="7"))


def test_reads_its_own_section() -> None:
    """What the slurm plugin does not know stands beside the partitions, so that both can read the file."""
    known = parse_table(
        textwrap.dedent("""
            partitions:
              a: &usual {max_threads: 8}
              b: {<<: *usual, max_gpu: 1}
            frceapi:
              facts: June 2026
              sources: [the manual]
              partitions:
                b: {provides_gpu: 1, only_named: true, max_cpus_per_user: 9, default_runtime: 1h,
                    default_mem_mb_per_cpu: 5}
              submit_filter: [{up_to: 30m, partition: a}, {partition: b}]
        """),
        "table.yaml",
    )

    assert known.partitions[1] == Partition(
        name="b",
        caps={"max_threads": 8, "max_cpus_per_user": 9},
        max_gpu=1,
        provides_gpu=1,
        only_named=True,
        default_runtime_minutes=60,
        default_mem_mb_per_cpu=5,
    )
    assert known.moves == (Move(30, "a"), Move(float("inf"), "b"))
    assert (known.source, known.facts, known.sources) == ("table.yaml", "June 2026", ("the manual",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["partitions", "is missing or empty", "begin with"]),
        ("just words", ["partitions", "is missing or empty"]),
        ("partitions: [a, b]", ["partitions", "is missing or empty"]),
        ("partitions: {}", ["partitions", "is missing or empty"]),
        ("partitions:\n  a: {max_runtime: 5d\n", ["no YAML", "line 3", "colons"]),
        ("partitions:\n\ta: 1\n", ["no YAML", "line 2"]),
        ("partitions: {a: !!python/object:os.system x}", ["no YAML", "line 1"]),
        ("partitions: {a: \x01}", ["no YAML"]),
        ("partitions: {a: 2026-99-99}", ["no YAML"]),
        ("partitions: {a: 5}", ["partitions.a is 5", "name: value"]),
        ("partitions: {a b: {}}", ["partitions.a b", "letters"]),
        ("partitions: {-a: {}}", ["partitions.-a", "letters"]),
        ("partitions: {true: {}}", ["partitions.True", "letters"]),
        ("partitions: {a: {max_runtimes: 5}}", ["partitions.a.max_runtimes", "did you mean max_runtime?"]),
        ("partitions: {a: {qqqq: 5}}", ["partitions.a.qqqq", "known are", "max_mem_mb"]),
        ("partitions: {a: {max_cpus_per_user: 5}}", ["partitions.a.max_cpus_per_user", "below frceapi.partitions.a"]),
        ("partitions: {a: {provides_gpu: 1}}", ["partitions.a.provides_gpu", "below frceapi.partitions.a"]),
        (f"partitions: {{a: {{max_gpu: 1{'0' * 400}}}}}", ["partitions.a.max_gpu is 1000", "whole number from 0"]),
        (f"partitions: {{a: {{max_mem_mb: 1{'0' * 400}}}}}", ["partitions.a.max_mem_mb is 1000", "number from 0"]),
        (f"partitions: {{a: {{max_runtime: 1{'0' * 400}}}}}", ["partitions.a.max_runtime is 1000"]),
        ("partitions: {a: {max_runtime: soon}}", ["partitions.a.max_runtime is 'soon'", "2-12:30:00"]),
        ("partitions: {a: {max_mem_mb: 4G}}", ["partitions.a.max_mem_mb is '4G'", "a number", "leave it out"]),
        ("partitions: {a: {max_mem_mb: -1}}", ["is -1"]),
        ("partitions: {a: {max_mem_mb: .nan}}", ["is nan"]),
        ("partitions: {a: {max_threads: true}}", ["is True"]),
        ("partitions: {a: {max_threads: }}", ["partitions.a.max_threads is None"]),
        ("partitions: {a: {max_gpu: 1.5}}", ["partitions.a.max_gpu is 1.5", "whole number"]),
        ("partitions: {a: {supports_mpi: 1}}", ["partitions.a.supports_mpi is 1", "true or false"]),
        ("partitions: {a: {available_gpu_models: a100}}", ["is 'a100'", "a list"]),
        ("partitions: {a: {cluster: 5}}", ["partitions.a.cluster is 5", "a name"]),
        ("partitions: {a: {}}\nfrceapi: 5", ["frceapi is 5"]),
        ("partitions: {a: {}}\nfrceapi: {partition: {}}", ["frceapi.partition", "did you mean partitions?"]),
        ("partitions: {a: {}}\nfrceapi: {sources: x}", ["frceapi.sources is 'x'", "a list"]),
        ("partitions: {a: {}}\nfrceapi: {partitions: {b: {}}}", ["frceapi.partitions.b", "use a"]),
        (
            "partitions: {a: {}}\nfrceapi: {partitions: {a: {provides_gpu: yes}}}",
            ["frceapi.partitions.a.provides_gpu is True"],
        ),
        ("partitions: {a: {}}\nfrceapi: {submit_filter: [{up_to: 1}]}", ["submit_filter[1].partition is None"]),
        ("partitions: {a: {}}\nfrceapi: {submit_filter: [{partition: b}]}", ["partition is 'b'", "use a"]),
        ("partitions: {a: {}}\nfrceapi: {submit_filter: [{up_to: x, partition: a}]}", ["up_to is 'x'"]),
        ("partitions: {a: {}}\nfrceapi: {submit_filter: 5}", ["submit_filter[1] is 5"]),
    ],
)
def test_refuses_a_broken_file_by_key_and_value(text: str, words: list[str]) -> None:
    """One line names the file, the line or key, the value and the remedy."""
    with pytest.raises(SettingsError) as caught:
        parse_table(text, "table.yaml")

    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("partition file 'table.yaml'")
    assert [word for word in words if word not in message] == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["partitions", "frceapi", "a", "max_runtime", "max_gpu", "submit_filter", "facts", "sources"])
nested = st.recursive(anything, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=12)


@given(nested | st.dictionaries(keys, nested, max_size=4))
def test_reads_any_yaml_or_refuses_it(content: object) -> None:
    """Whatever a file holds, it is a table or one error."""
    message = ""
    try:
        assert parse_table(yaml.safe_dump(content), "table.yaml").partitions
    except SettingsError as error:
        message = str(error)

    assert message.isprintable()
    assert message == "" or message.startswith("partition file 'table.yaml'")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (120, 120),
        (120.5, 121),
        (float("inf"), float("inf")),
        ("120", 120),
        (" 120.4 ", 120),
        ("6d", 6 * 1440),
        ("12h", 720),
        ("30m", 30),
        ("90s", 2),
        ("2d12h30m", 3630),
        ("1.5h", 90),
        ("1D 2H", 1560),
        ("2 days", 2880),
        ("60:30", 3630),
        ("1:30:45", 91),
        ("2-12", 3600),
        ("0-12", 720),
        ("2-12:30", 3630),
        ("2-12:30:45", 3631),
        ("", None),
        ("soon", None),
        ("UNLIMITED", None),
        ("5 parsecs", None),
        ("-5", None),
        (-5, None),
        ("1:2:3:4", None),
        ("nan", None),
        (True, None),
        (None, None),
        ([5], None),
    ],
)
def test_reads_times(value: object, expected: float | None) -> None:
    """Minutes, amounts with units and Slurm's forms are minutes; everything else is no time."""
    assert minutes(value) == expected


def test_knows_frce() -> None:
    """FRCE's own table has its partitions, their facts have a date and a source."""
    table = frce_table()

    assert [partition.name for partition in table.partitions] == ["norm", "short", "unlimited", "largemem", "gpu"]
    assert table.facts == "September 2026"
    assert table.sources
    assert Path(table.source).is_file()
    assert [table.moved("norm", limit) for limit in (None, 1, 30, 31, 7200, 7201)] == [
        *("norm", "short", "short", "norm", "norm", "unlimited")
    ]
    assert [table.moved(name, 5) for name in ("largemem", "gpu")] == ["largemem", "gpu"]


@pytest.mark.parametrize(
    ("config", "variable", "url", "expected"),
    [
        (None, None, DEFAULT_URL, "frce.yaml"),
        (None, None, "https://HPCAPI.ncifcrf.gov:8443/other", "frce.yaml"),
        (None, None, "https://api.example.org/hpcapi", ""),
        (None, None, "http://127.0.0.1:8000/secret/", ""),
        (None, None, "not a URL", ""),
        (None, "", DEFAULT_URL, "frce.yaml"),
        ("frce", None, "http://127.0.0.1:8000/secret/", "frce.yaml"),
        ("one.yaml", None, DEFAULT_URL, "one.yaml"),
        (None, "two.yaml", DEFAULT_URL, "two.yaml"),
        ("one.yaml", "two.yaml", DEFAULT_URL, "one.yaml"),
        ("frce", "two.yaml", DEFAULT_URL, "frce.yaml"),
    ],
)
def test_finds_the_table_that_applies(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str | None,
    variable: str | None,
    url: str,
    expected: str,
) -> None:
    """A file that is named comes first, then the slurm plugin's variable, then FRCE's own table for FRCE alone."""
    monkeypatch.chdir(tmp_path)
    for name in ("one.yaml", "two.yaml"):
        Path(name).write_text("partitions: {a: {}}", encoding="utf-8")
    table = applicable_table(config, {} if variable is None else {VARIABLE: variable}, url)

    assert Path(table.source).name == expected
    assert (table == NO_TABLE) is (expected == "")


@pytest.mark.parametrize(
    ("config", "variable", "words"),
    [
        ("absent.yaml", None, ["--frceapi-partition-config", "'absent.yaml'", "No such file"]),
        (None, "absent.yaml", ["SNAKEMAKE_SLURM_PARTITIONS", "'absent.yaml'", "No such file"]),
        (".", None, ["--frceapi-partition-config", "Is a directory"]),
        ("bytes.yaml", None, ["'bytes.yaml'", "UTF-8"]),
        ("broken.yaml", None, ["'broken.yaml'", "partitions.a is 5"]),
    ],
)
def test_refuses_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str | None, variable: str | None, words: list[str]
) -> None:
    """The message names the file, and the setting through which it came."""
    monkeypatch.chdir(tmp_path)
    Path("bytes.yaml").write_bytes(b"\xff\xfe partitions")
    Path("broken.yaml").write_text("partitions: {a: 5}", encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        applicable_table(config, {VARIABLE: variable} if variable else {}, DEFAULT_URL)

    assert [word for word in words if word not in str(caught.value)] == []
