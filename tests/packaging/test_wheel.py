"""The wheel alone, in a new environment with Snakemake, is a plugin with all its settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "snakemake_executor_plugin_frceapi"
ROOT = Path(__file__).parents[2]
LIST_SETTINGS = f"""
import dataclasses, json, {PACKAGE} as plugin
fields = dataclasses.fields(plugin.ExecutorSettings)
print(json.dumps({{field.name: field.metadata["help"] for field in fields}}))
"""


@dataclass(frozen=True)
class Distributions:
    """The built files."""

    wheel: Path
    sdist: Path


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as a user would, without this environment's variables, and return what it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_", "PYTEST_"))}
    environment = kept | {"COLUMNS": "100000", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """An sdist of the tree, and a wheel made from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    return Distributions(wheel, sdist)


@pytest.fixture(scope="module")
def bin_directory(tmp_path_factory: pytest.TempPathFactory, distributions: Distributions) -> Path:
    """The programs of a new environment that holds the wheel and Snakemake, and neither this tree nor any extra."""
    directory = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", directory / "venv", cwd=directory)
    programs = directory / "venv" / "bin"
    install: list[str | Path] = [programs / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt"]
    run(*install, distributions.wheel, "snakemake", cwd=directory)
    return programs


def test_wheel_holds_package_and_nothing_else(distributions: Distributions) -> None:
    """Types, the sandbox and the data files go along; tests stay at home."""
    names = zipfile.ZipFile(distributions.wheel).namelist()

    assert {f"{PACKAGE}/__init__.py", f"{PACKAGE}/py.typed", f"{PACKAGE}/sandbox/__init__.py"} <= set(names)
    assert {f"{PACKAGE}/{name}" for name in ("run.sh", "partitions/frce.yaml", "reports/timeline.js")} <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {PACKAGE}
    package = ROOT / PACKAGE
    files = (path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert {f"{PACKAGE}/{path.relative_to(package)}" for path in files} <= set(names)


def test_sdist_holds_tests_and_licence(distributions: Distributions) -> None:
    """Whoever packages the sdist for a distribution can run its tests."""
    with tarfile.open(distributions.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "README.md", "pyproject.toml", "tests/packaging/test_wheel.py"} <= names
    assert f"{PACKAGE}/partitions/frce.yaml" in names


def test_wheel_shows_every_setting_in_help(bin_directory: Path, tmp_path: Path) -> None:
    """``snakemake --help`` of a new environment lists ``--frceapi-…`` for each field, with its help text."""
    settings = json.loads(run(bin_directory / "python", "-c", LIST_SETTINGS, cwd=tmp_path))
    shown = " ".join(run(bin_directory / "snakemake", "--help", cwd=tmp_path).split())

    assert settings
    missing = [name for name in settings if f"--frceapi-{name.replace('_', '-')} " not in shown]
    assert missing == []
    assert [name for name, text in settings.items() if " ".join(text.split()) not in shown] == []


def test_wheel_brings_console_command(bin_directory: Path, tmp_path: Path) -> None:
    """The command ``frceapi`` explains itself without the extras."""
    assert "sandbox" in run(bin_directory / "frceapi", "--help", cwd=tmp_path)
