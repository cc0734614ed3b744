"""Fixtures for pipeline authors: a sandbox for a test, or for a whole session.

Every pytest run of an environment with this package loads this module, so it imports nothing heavy by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig

URL_VARIABLE = "SNAKEMAKE_FRCEAPI_URL"


@pytest.fixture(scope="session")
def frceapi_sandbox_config() -> SandboxConfig:
    """The settings of the sandboxes below; override it in a ``conftest.py`` to change them."""
    from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig

    return SandboxConfig()


@pytest.fixture
def frceapi_sandbox(frceapi_sandbox_config: SandboxConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A started sandbox of the test's own; ``SNAKEMAKE_FRCEAPI_URL`` leads to it."""
    with _started(frceapi_sandbox_config, monkeypatch) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def frceapi_sandbox_session(frceapi_sandbox_config: SandboxConfig) -> Iterator[Sandbox]:
    """A started sandbox that all tests of the session share; ``SNAKEMAKE_FRCEAPI_URL`` leads to it until the end."""
    with pytest.MonkeyPatch.context() as monkeypatch, _started(frceapi_sandbox_config, monkeypatch) as sandbox:
        yield sandbox


@contextmanager
def _started(config: SandboxConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    try:
        from snakemake_executor_plugin_frceapi.sandbox import Sandbox

        sandbox = Sandbox(config)
    except ImportError as error:
        remedy = "pip install 'snakemake-executor-plugin-frceapi[sandbox]'"
        pytest.fail(f"the sandbox needs {error.name}; {remedy}", pytrace=False)
    with sandbox:
        monkeypatch.setenv(URL_VARIABLE, sandbox.url)
        yield sandbox
