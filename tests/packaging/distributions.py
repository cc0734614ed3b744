"""What is built for a release, and how a user's commands are run on it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Distributions:
    """The built files."""

    wheel: Path
    sdist: Path


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command as a user would, without this environment's variables, and return what it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_", "PYTEST_"))}
    environment = kept | {"COLUMNS": "100000", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | variables
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
