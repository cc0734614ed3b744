"""Where scenarios are measured: the test cluster, and desks at it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

from tests.cluster.desk import Desk
from tests.cluster.rig import Rig, running_rig

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 1 << 30


class Stage:
    """A test cluster of its own, which is started when it is first needed."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    @cached_property
    def rig(self) -> Rig:
        """The test cluster."""
        return self._stack.enter_context(running_rig())

    @contextmanager
    def desk(self, *, in_memory: bool = False) -> Iterator[Desk]:
        """A desk with a ticket, whose runs and jobs end with it.

        Args:
            in_memory: whether its files are kept in memory where there is room. On ext4 the CPU time of a new file
                grows with the number of those that were deleted in the last minutes, whoever did that.
        """
        has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_BYTES
        top = _MEMORY if in_memory and has_room else None
        with tempfile.TemporaryDirectory(prefix="frceapi-bench-", dir=top, ignore_cleanup_errors=True) as place:
            desk = Desk(Path(place), self.rig)
            desk.kinit()
            try:
                yield desk
            finally:
                desk.end_runs()
                self.rig.slurm.cancel_all()
