"""The built files, and environments that hold one of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.packaging.distributions import ROOT, Distributions, run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let files be tested that were built already."""
    parser.addoption("--distributions", type=Path, help="the directory of a wheel and an sdist; else both are built")


@pytest.fixture(scope="session")
def distributions(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """An sdist of the tree, and a wheel made from that sdist."""
    directory = pytestconfig.getoption("--distributions")
    if directory is None:
        directory = tmp_path_factory.mktemp("dist")
        run(sys.executable, "-m", "build", "--outdir", directory, ROOT, cwd=directory)
    (wheel,) = directory.resolve().glob("*.whl")
    (sdist,) = directory.resolve().glob("*.tar.gz")
    return Distributions(wheel, sdist)


@pytest.fixture(scope="session", params=["wheel", pytest.param("sdist", marks=pytest.mark.long)])
def bin_directory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, distributions: Distributions
) -> Path:
    """The programs of a new environment that holds a built file and Snakemake, and neither this tree nor any extra."""
    built = {"wheel": distributions.wheel, "sdist": distributions.sdist}[request.param]
    directory = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", directory / "venv", cwd=directory)
    programs = directory / "venv" / "bin"
    install: list[str | Path] = [programs / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt"]
    run(*install, built, "snakemake", cwd=directory)
    return programs
