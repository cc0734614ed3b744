"""The fixtures for pipeline authors, and how light the package is to import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import snakemake_executor_plugin_frceapi.sandbox as package
from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig

pytest_plugins = ["pytester"]


def test_fixture_gives_a_running_sandbox(frceapi_sandbox: Sandbox) -> None:
    """The variable leads to a sandbox that serves."""
    assert os.environ["SNAKEMAKE_FRCEAPI_URL"] == frceapi_sandbox.url
    assert frceapi_sandbox.jobs == {}


PIPELINE_TEST = """
    import os
    import pytest
    from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig

    @pytest.fixture(scope="session")
    def frceapi_sandbox_config():
        return SandboxConfig(cpus=7)

    def test_one(frceapi_sandbox_session):
        assert frceapi_sandbox_session.config.cpus == 7
        assert os.environ["SNAKEMAKE_FRCEAPI_URL"] == frceapi_sandbox_session.url

    def test_two(frceapi_sandbox_session, frceapi_sandbox):
        assert os.environ["SNAKEMAKE_FRCEAPI_URL"] == frceapi_sandbox.url != frceapi_sandbox_session.url

    def test_three(frceapi_sandbox_session):
        assert os.environ["SNAKEMAKE_FRCEAPI_URL"] == frceapi_sandbox_session.url
"""


def test_fixtures_serve_a_pipelines_tests(pytester: pytest.Pytester) -> None:
    """A test for itself, a session together, and settings of one's own."""
    pytester.makepyfile(PIPELINE_TEST)

    result = pytester.runpytest_inprocess(
        "-p", "no:frceapi", "-p", "snakemake_executor_plugin_frceapi.sandbox.pytest_plugin", "-p", "no:cacheprovider"
    )

    result.assert_outcomes(passed=3)
    assert "SNAKEMAKE_FRCEAPI_URL" not in os.environ


def test_fixture_names_missing_extra(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the test fails with one line that says what to install."""
    for name in [
        name for name in sys.modules if name.endswith((".sandbox.service", ".sandbox.app", ".sandbox.server"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "werkzeug.serving", None)
    pytester.makepyfile("def test_one(frceapi_sandbox): pass")

    result = pytester.runpytest_inprocess(
        "-p", "no:frceapi", "-p", "snakemake_executor_plugin_frceapi.sandbox.pytest_plugin", "-p", "no:cacheprovider"
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the sandbox needs werkzeug*; pip install 'snakemake-executor-plugin-frceapi*"])


def test_package_imports_nothing_heavy() -> None:
    """Loading the pytest plugin loads neither server nor process library."""
    code = (
        "import sys, snakemake_executor_plugin_frceapi.sandbox.pytest_plugin, "
        "snakemake_executor_plugin_frceapi.sandbox.command\n"
        "print(sorted({'werkzeug', 'psutil', 'http.server', 'hypothesis'} & set(sys.modules)))"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_package_shows_its_public_names() -> None:
    """All names can be had, sorted; others cannot."""
    assert package.__all__ == sorted(package.__all__)
    assert all(getattr(package, name).__name__ == name for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018 -- the access is the test


def test_config_knows_the_machine() -> None:
    """Without settings the sandbox has the machine's CPUs and memory."""
    config = SandboxConfig()

    assert config.cpus >= 1
    assert config.mem_mb > 100
