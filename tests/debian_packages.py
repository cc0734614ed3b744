"""What a suite needs of the operating system, and how it says that it cannot run without."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def missing_packages(suite: Path) -> str | None:
    """Return in one line which packages of a suite's ``debian-packages.txt`` are missing; None: none is.

    Each line of that file names a package and a program that it brings.
    """
    lines = (suite / "debian-packages.txt").read_text("ascii").splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    missing = [package for package, program in pairs if not _exists(program)]
    return (
        f"missing are the Debian packages {', '.join(missing)}; apt-get install {' '.join(missing)}"
        if missing
        else None
    )


def skip_suite(suite: Path, reason: str, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave one test of a suite, which is skipped and says why."""
    here = [item for item in items if item.path.is_relative_to(suite)]
    if here:
        here[0].add_marker(pytest.mark.skip(reason=reason))
        config.hook.pytest_deselected(items=here[1:])
        items[:] = [item for item in items if item not in here[1:]]


def _exists(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None
