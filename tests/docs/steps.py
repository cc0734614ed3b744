"""What can be done with a block of code of the documentation: it is run, or checked as far as it can be."""

from __future__ import annotations

import shlex
import sys
import tomllib
from collections.abc import Callable
from typing import Any

import yaml
from packaging.requirements import Requirement
from snakemake.cli import parse_args
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.partitions.file import parse_table
from snakemake_executor_plugin_frceapi.record import Fate
from snakemake_executor_plugin_frceapi.reports.efficiency import advice
from snakemake_executor_plugin_frceapi.reports.summary import summary
from tests.docs.desk import PROFILE, Desk
from tests.docs.pages import ROOT
from tests.records import record

Step = Callable[[Desk, str], None]
"""Does something with the text of a block."""

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def commands(text: str) -> list[str]:
    """Return the commands of a block, one a line or on several with a backslash between them."""
    return text.replace("\\\n", "").splitlines()


def shell(desk: Desk, text: str) -> None:
    """Run each command."""
    desk.clear()
    for command in commands(text):
        desk.run(command)


def shell_with_profile(desk: Desk, text: str) -> None:
    """Run each command where the profile for FRCE is."""
    desk.write_profile()
    shell(desk, text)


def installation(_desk: Desk, text: str) -> None:
    """Check that what is installed is there: this project with its extra, and packages that it is tested with."""
    tested = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    for command in commands(text):
        _, _, named = command.partition("pip install ")
        assert named, command
        for requirement in map(Requirement, shlex.split(named)):
            assert requirement.name in {_PROJECT["name"], *tested}
            assert requirement.extras <= set(_PROJECT["optional-dependencies"])


def make_targets(desk: Desk, text: str) -> None:
    """Check that make knows what to do; the commands themselves are what runs these tests."""
    for command in commands(text):
        make, target = shlex.split(command, comments=True)
        assert make == "make"
        assert f"scripts/{target}" in desk.run(f"make --no-print-directory -n -C {ROOT} {target}")


def profile(desk: Desk, text: str) -> None:
    """Let Snakemake read a profile, and see that each value arrives."""
    desk.write_profile()
    parsed = _parsed("--profile", str((desk.directory / PROFILE).parent))
    settings = _settings(parsed)

    for key, value in yaml.safe_load(text).items():
        name = key.replace("-", "_")
        if name.startswith("frceapi_"):
            assert str(getattr(settings, name.removeprefix("frceapi_"))) == str(value)
        elif isinstance(value, dict):
            read = repr(getattr(parsed, name))
            assert [f'Resource("{name}", {number})' in read for name, number in value.items()] == [True] * len(value)
        else:
            assert getattr(parsed, name) == value


def partition_file(_desk: Desk, text: str) -> None:
    """Read a partition file, with all that it says."""
    table = parse_table(text, "partitions.yaml")

    assert {partition.name: partition.provides_gpu for partition in table.partitions} == {"norm": 0, "gpu": 1}
    assert table.moved("norm", 60) == "norm"


def arguments(_desk: Desk, text: str) -> None:
    """Let Snakemake and the plugin read arguments; tests/workflows run such a workflow with a storage of S3."""
    (command,) = commands(text)
    snakemake, *words = shlex.split(command)
    parsed = _parsed(*words)

    assert (snakemake, parsed.executor, parsed.default_storage_provider) == ("snakemake", "frceapi", "s3")
    assert _settings(parsed).job_setup == "source ~/venv/bin/activate"


def file(name: str) -> Step:
    """Return the step that puts a block where the text above it says, for the blocks that follow."""

    def write(desk: Desk, text: str) -> None:
        desk.write(name, text)

    return write


def github(desk: Desk, text: str) -> None:
    """Hold a workflow of GitHub against its published schema, and run its commands."""
    desk.clear()
    _validate(desk, ".github/workflows/test.yml", text, "vendor.github-workflows")
    for job in yaml.safe_load(text)["jobs"].values():
        for step in job["steps"]:
            _run_in_ci(desk, step.get("run", ""))


def gitlab(desk: Desk, text: str) -> None:
    """Hold a pipeline of GitLab against its published schema, and run its commands."""
    desk.clear()
    _validate(desk, ".gitlab-ci.yml", text, "vendor.gitlab-ci")
    for job in yaml.safe_load(text).values():
        for command in [*job["before_script"], *job["script"]]:
            _run_in_ci(desk, command)
        assert [desk.directory.joinpath(path).is_dir() for path in job["artifacts"]["paths"]] == [True, True]


def _validate(desk: Desk, name: str, text: str, schema: str) -> None:
    """Check a file against a schema that comes with check-jsonschema, so that no network is needed."""
    desk.write(name, text)
    desk.run(f"{sys.executable} -m check_jsonschema --builtin-schema {schema} {name}")


def _run_in_ci(desk: Desk, command: str) -> None:
    """Run a command of a CI job; what installs something is only looked at."""
    words = shlex.split(command.removeprefix("sudo "))
    if words[:1] == ["pip"]:
        installation(desk, command)
    elif words[:2] == ["apt-get", "install"]:
        known = (ROOT / "scripts/setup").read_text("utf-8").split()
        assert {word for word in words[2:] if not word.startswith("-")} <= {word.strip("()") for word in known}
    elif words and words != ["apt-get", "update"]:
        desk.run(command)


def summary_line(_desk: Desk, text: str) -> None:
    """Compare with the line that a run of such jobs ends with."""
    request = JobRequest(partition="norm", cpus_per_task=1, mem_mb_per_node=1000)
    tries = [("a", 1, 5, False), *((f"{n}", 1, 12, True) for n in range(6)), ("b", 1, 12, False), ("b", 2, 185, True)]
    tries += [("c", 1, 12, False), ("c", 2, 12, True)]
    hours = [4.1 / len(tries)] * len(tries)
    records = [
        record(
            work,
            attempt=attempt,
            fate=Fate.SUCCEEDED if good else Fate.FAILED,
            request=request,
            submitted=0.0,
            started=float(wait),
            begun=float(wait),
            ended=wait + 3600 * held,
            cpu_seconds=3600 * 1.2 / len(tries),
        )
        for (work, attempt, wait, good), held in zip(tries, hours, strict=True)
    ]

    assert text == summary(records) + "\n"


def advice_line(_desk: Desk, text: str) -> None:
    """Compare with the line about a rule of such jobs."""
    records = [record(f"{number}") for number in range(20)]

    assert text == "".join(f"{line}\n" for line in advice(records, 0.8))


def _parsed(*words: str) -> Any:
    _, parsed = parse_args(list(words))
    return parsed


def _settings(parsed: Any) -> Any:
    return ExecutorPluginRegistry().get_plugin("frceapi").get_settings(parsed)
