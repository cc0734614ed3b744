"""A job whose use of CPU and memory is known."""

from __future__ import annotations

import shlex
import sys

from tests.run_directories import until_peak_mb

CPU_SECONDS = 5.0
MEMORY_MB = 300

_INTERPRETER_MB = 8
_PROGRAM = f"""\
import time
held = bytearray({MEMORY_MB - _INTERPRETER_MB} << 20)
while time.process_time() < {CPU_SECONDS}:
    pass
{until_peak_mb(MEMORY_MB * 9 // 10)}"""


def known_load() -> str:
    """Return a shell command that holds `MEMORY_MB`, until that was noted, and uses one CPU for `CPU_SECONDS`."""
    return f"{sys.executable} -S -c {shlex.quote(_PROGRAM)}"
