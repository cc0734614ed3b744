"""The wheel alone, in a new environment with Snakemake, is a plugin with all its settings."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

from tests.packaging.distributions import ROOT, Distributions, run

PACKAGE = "snakemake_executor_plugin_frceapi"
LIST_SETTINGS = f"""
import dataclasses, json, {PACKAGE} as plugin
fields = dataclasses.fields(plugin.ExecutorSettings)
print(json.dumps({{field.name: field.metadata["help"] for field in fields}}))
"""
ON_A_BARE_MACHINE = """
import sys
sys.modules["gssapi"] = None
def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__" or event == "subprocess.Popen":
        raise PermissionError(f"{event} {arguments}")
sys.addaudithook(refuse)
"""
AS_THE_CATALOG = """
import json
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
settings = ExecutorPluginRegistry().get_plugin("frceapi").get_settings_info()
named = [setting | {"type": setting["type"] and setting["type"].__name__} for setting in settings]
print(json.dumps(named))
"""


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


def test_catalog_reads_settings_on_bare_machine(bin_directory: Path, tmp_path: Path) -> None:
    """Snakemake's plugin catalog asks for them where there is no cluster, no Kerberos library and no network.

    It reads everything that is printed as JSON, and shows the defaults.
    """
    code = ON_A_BARE_MACHINE + AS_THE_CATALOG
    printed = run(bin_directory / "python", "-c", code, cwd=tmp_path, KRB5_CONFIG="/nonexistent")
    settings = {setting["name"]: setting for setting in json.loads(printed)}

    assert settings["url"]["default"] == "https://hpcapi.ncifcrf.gov/hpcapi"
    assert settings["url"]["cliarg"] == "--frceapi-url"
    assert [name for name, setting in settings.items() if not setting["help"]] == []
    assert [name for name, setting in settings.items() if setting["type"] == "bool" and setting["default"]] == []


def test_fits_what_was_installed_with_it(bin_directory: Path, tmp_path: Path) -> None:
    """No two packages contradict each other."""
    assert "No broken requirements" in run(bin_directory / "python", "-m", "pip", "check", cwd=tmp_path)
