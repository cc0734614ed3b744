"""Tests of profiles for the slurm plugin that become profiles for this one."""

from __future__ import annotations

import importlib
import re
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi import ExecutorSettings
from snakemake_executor_plugin_frceapi.cli import main
from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.profiles.convert import convert
from snakemake_executor_plugin_frceapi.profiles.settings import MAPPED, WITHOUT_MEANING
from tests.slurm_plugin import PLACE, WHY_NOT

PROFILE = """
    # For the cluster
    executor: "slurm"   # the plugin
    jobs: 100
    slurm-logdir: 'logs'   # kept
    slurm-array-jobs:
      "a, b"

    # Resources of all rules
    default-resources:
        slurm_account: lab    # ours
        runtime: 2h
    slurm-delete-logfiles-older-than: -1
    set-resources:
        align:
            slurm_extra: "'--nice=150'"  # be nice
            mem_mb: attempt * 1000
            tasks: 4
        sort: {qos: long, runtime: 60}
"""
CONVERTED = """
    # For the cluster
    executor: frceapi   # the plugin
    jobs: 100
    frceapi-logdir: 'logs'   # kept
    # Without a meaning here: the API has no job arrays; each job is submitted by itself.
    # slurm-array-jobs:
    #   "a, b"

    # Resources of all rules
    default-resources:
        # slurm_account is left out, with one warning: the API has no key for it.
        slurm_account: lab    # ours
        runtime: 2h
    frceapi-delete-logfiles-older-than: 0
    set-resources:
        align:
            # Refused: slurm_extra='--nice=150'; REMEDY.
            slurm_extra: "'--nice=150'"  # be nice
            mem_mb: attempt * 1000
            tasks: 4
        # qos is left out, with one warning: the API has no key for it.
        sort: {qos: long, runtime: 60}
"""
REMEDY = (
    "the API cannot express --nice; take it out, or switch slurm_extra off with --set-resources align:slurm_extra=0"
)


def profile(text: str) -> str:
    """A profile without the common indentation of its lines."""
    return textwrap.dedent(text).lstrip("\n")


def test_converts_settings_and_points_out_resources() -> None:
    """Names are translated, what has no meaning is commented out, and everything else stays as it was."""
    assert convert(profile(PROFILE)) == profile(CONVERTED).replace("REMEDY", REMEDY)


def test_leaves_a_converted_profile_as_it_is() -> None:
    """Converting twice is converting once."""
    assert convert(convert(profile(PROFILE))) == convert(profile(PROFILE))


def comments(line: str, section: str = "set-resources", indent: int = 4) -> list[str]:
    """The comments that conversion puts above one resource of rule align."""
    place = f"{section}:\n" + ("    align:\n" if section == "set-resources" and indent == 4 else "")
    text = f"{place}{' ' * (indent + 4)}{line}\n"
    return [found.strip() for found in convert(text).splitlines() if found.strip().startswith("#")]


@pytest.mark.parametrize(
    "line",
    [
        "slurm_partition: norm",
        "slurm_partition: \"'short' if attempt == 1 else 'norm'\"",
        "runtime: 2h",
        "runtime: 60 * attempt",
        "mem: 16G",
        "mem_mb_per_cpu: 1800",
        "mem_mb: max(2 * input.size_mb, 1000)",
        "cpus_per_task: -1",
        "mem_mb_per_cpu: 0",
        "tasks: 4",
        "nodes: 2",
        "mpi: srun",
        "slurm_extra: \"'--ntasks-per-node=2'\"",
        "gpu: 0",
        "qos: \"''\"",
        "disk_mb: 0",
        "tmpdir: /tmp",
        "anything: x",
    ],
)
def test_says_nothing_of_what_is_sent(line: str) -> None:
    """What arrives as with the slurm plugin, or concerns no cluster, has no comment."""
    assert comments(line) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gpu: 2", "Refused: the API cannot express gpu=2, because it has no key for GPUs"),
        ("gres: \"'gpu:tesla:2'\"", "provides_gpu"),
        ("gres: \"'gpu:1' if attempt > 1 else ''\"", "Refused: the API cannot express gres="),
        ("constraint: haswell", "switch it off with --set-resources align:constraint=0"),
        ("clusters: other", "it submits to one cluster"),
        ("slurm_partition: a,b", "slurm_partition='a,b' is not a partition name"),
        ("mem_mb: 0", "mem_mb=0 is not a whole number from 1"),
        ("tasks_per_core: 4", "the API allows 1 and 2"),
        ("dependency: singleton", "Refused: dependency 'singleton'"),
        ("slurm_account: lab", "slurm_account is left out, with one warning"),
        ("slurm_extra: --mail-type=ALL", "the API cannot express --mail-type"),
    ],
)
def test_points_out_what_is_left_out_or_refused(line: str, words: str) -> None:
    """The comment says why, with the remedy of the message that the job would have."""
    (comment,) = comments(line)

    assert words in comment


@pytest.mark.parametrize("line", ["- align:gpu=1", "- align:constraint='a'", "- 'align:slurm_extra=--nice=1'"])
def test_reads_resources_as_a_list(line: str) -> None:
    """The other form that Snakemake takes has the same comments."""
    (comment,) = comments(line, indent=0)

    assert comment.startswith("# Refused: ")
    assert "align:" in comment


def test_reads_conditions_of_yte() -> None:
    """A setting below a condition is converted in its place."""
    text = "__use_yte__: true\n?if True:\n  slurm-logdir: logs\n  slurm-requeue: true\n"

    lines = convert(text).splitlines()
    assert lines[2] == "  frceapi-logdir: logs"
    assert lines[3].startswith("  # Without a meaning here: ")
    assert lines[4] == "  # slurm-requeue: true"


def test_counts_lines_as_yaml_does() -> None:
    """Line ends of other systems, and characters that YAML takes for line ends, put no comment in a wrong place."""
    text = "# a\u2028# b\r\nslurm-requeue: 1\r\nset-resources:\n  a:\n    gpu: 1"

    lines = re.split("\r?\n", convert(text))
    assert [line[:14] for line in lines] == [
        "# a\u2028# b",
        "# Without a me",
        "# slurm-requeu",
        "set-resources:",
        "  a:",
        "    # Refused:",
        "    gpu: 1",
    ]


def test_comments_out_what_neither_plugin_has() -> None:
    """An unknown setting would stop Snakemake."""
    assert convert("slurm-foo: 1\njobs: 2\n") == (
        "# Without a meaning here: neither plugin has such a setting.\n# slurm-foo: 1\njobs: 2\n"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "no mapping"),
        ("{executor: slurm, jobs: 1}\n", "one setting a line"),
        ("executor: local\n", "executor 'local'"),
        ("executor: [slurm\n", "no YAML"),
        ("jobs: \x00\n", "no YAML"),
    ],
)
def test_refuses_what_is_no_profile_for_slurm(text: str, words: str) -> None:
    """One error says what is wrong."""
    with pytest.raises(SettingsError, match=words):
        convert(text)


def test_knows_each_setting_of_the_slurm_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is mapped to one of the same name, or has a reason, and no reason is kept for one that there is here."""
    if not PLACE.exists():
        pytest.skip(WHY_NOT)
    monkeypatch.syspath_prepend(str(PLACE))
    plugin = importlib.import_module("snakemake_executor_plugin_slurm")
    ours = {setting.name for setting in fields(ExecutorSettings)}

    assert {*MAPPED, *WITHOUT_MEANING} == {setting.name for setting in fields(plugin.ExecutorSettings)}
    assert set(MAPPED) <= ours
    assert not set(WITHOUT_MEANING) & ours


names = st.sampled_from(
    ["slurm_account", "slurm_extra", "gpu", "gres", "runtime", "mem_mb", "tasks", "constraint", "slurm_partition", "x"]
)
contents = st.sampled_from(["1", "0", "2h", "'a b'", "--nice=5", "'--time=9'", "attempt * 2", "norm", "a: b", "#", ""])
mappings = st.dictionaries(names, contents, max_size=3)
settings_ = st.dictionaries(
    st.sampled_from([f"slurm-{name.replace('_', '-')}" for name in (*MAPPED, *WITHOUT_MEANING)]),
    st.one_of(st.none(), st.booleans(), st.integers(0), contents, st.just("two\nlines")),
    max_size=4,
)
profiles = st.builds(
    lambda one, other, two, style: yaml.safe_dump(
        {**one, "executor": "slurm", "default-resources": other, "jobs": 3, "set-resources": two},
        sort_keys=False,
        default_flow_style=style,
    ),
    settings_,
    mappings,
    st.dictionaries(st.sampled_from("abc"), mappings, max_size=2),
    st.sampled_from([False, None]),
)


@given(profiles)
def test_keeps_everything_but_the_settings(text: str) -> None:
    """Whatever a profile holds, its resources and other settings are the same afterwards, and so is a second run."""
    before, after = yaml.safe_load(text), yaml.safe_load(convert(text))

    kept = {name: value for name, value in before.items() if not name.startswith("slurm-")}
    mapped = {
        name.replace("slurm-", "frceapi-"): value
        for name, value in before.items()
        if name.removeprefix("slurm-").replace("-", "_") in MAPPED
    }
    assert after == {**kept, "executor": "frceapi", **mapped}
    assert convert(convert(text)) == convert(text)


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    result = CliRunner().invoke(main, ["convert-profile", *arguments])
    return result.exit_code, result.output


def test_command_writes_to_standard_output(tmp_path: Path) -> None:
    """A file is converted as it is."""
    path = tmp_path / "slurm.yaml"
    path.write_text("executor: slurm\n")

    assert run(str(path)) == (0, "executor: frceapi\n")


def test_command_reads_and_writes_a_directory(tmp_path: Path) -> None:
    """Of a directory the configuration for the newest Snakemake is read, and config.yaml written in another."""
    (tmp_path / "config.yaml").write_text("executor: slurm\njobs: 1\n")
    (tmp_path / "config.v9+.yaml").write_text("executor: slurm\njobs: 9\n")

    assert run(str(tmp_path), "-o", str(tmp_path / "new" / "frce")) == (0, "")
    assert (tmp_path / "new" / "frce" / "config.yaml").read_text() == "executor: frceapi\njobs: 9\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.yaml", b"executor: local\n", "executor 'local'"),
        ("config.yaml", b"\xff", "UTF-8"),
        ("other.yaml", b"executor: slurm\n", "neither config.yaml nor profile.yaml"),
    ],
)
def test_command_says_what_is_wrong(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """One line names the file and the remedy."""
    (tmp_path / name).write_bytes(content)
    code, output = run(str(tmp_path))

    assert (code, output.count("\n")) == (1, 1)
    assert str(tmp_path) in output
    assert words in output


def test_command_overwrites_nothing(tmp_path: Path) -> None:
    """A file that is there stays."""
    path = tmp_path / "config.yaml"
    path.write_text("executor: slurm\n")
    code, output = run(str(path), "-o", str(path))

    assert (code, path.read_text()) == (1, "executor: slurm\n")
    assert "File exists; name another" in output
