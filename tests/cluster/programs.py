"""Programs that the runs of a desk find before those of the machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from tests.cluster.desk import Desk


def put_first(desk: Desk, programs: Mapping[str, str]) -> None:
    """Put programs before those that a desk's runs would find, by name, with their texts."""
    place = desk.directory.parent / "bin"
    place.mkdir(exist_ok=True)
    for name, text in programs.items():
        (place / name).write_text(text, encoding="utf-8")
        (place / name).chmod(stat.S_IRWXU)
    desk.environment["PATH"] = os.pathsep.join([str(place), desk.environment["PATH"]])
