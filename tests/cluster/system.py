"""Whether this machine can run the test cluster."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_PACKAGES = Path(__file__).with_name("debian-packages.txt")


def why_not() -> str | None:
    """Return in one line why the test cluster cannot run here; None: it can."""
    if os.getuid() != 0:
        return "Slurm, a KDC and Apache are started as root only; run as root, for instance in a container"
    missing = [package for package, program in _programs() if not _exists(program)]
    if missing:
        return f"missing are the Debian packages {', '.join(missing)}; apt-get install {' '.join(missing)}"
    return None


def _programs() -> list[tuple[str, str]]:
    lines = _PACKAGES.read_text("ascii").splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    return [(package, program) for package, program in pairs]


def _exists(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None
