"""Whether this machine can run the test cluster."""

from __future__ import annotations

import os
from pathlib import Path

from tests.debian_packages import missing_packages


def why_not() -> str | None:
    """Return in one line why the test cluster cannot run here; None: it can."""
    if os.getuid() != 0:
        return "Slurm, a KDC and Apache are started as root only; run as root, for instance in a container"
    return missing_packages(Path(__file__).parent)
