"""Where scenarios are measured: the test cluster, and desks at it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

from tests.cluster.desk import Desk
from tests.cluster.rig import Rig, running_rig


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
    def desk(self) -> Iterator[Desk]:
        """A desk with a ticket, whose runs and jobs end with it."""
        with tempfile.TemporaryDirectory(prefix="frceapi-bench-", ignore_cleanup_errors=True) as place:
            desk = Desk(Path(place), self.rig)
            desk.kinit()
            try:
                yield desk
            finally:
                desk.end_runs()
                self.rig.slurm.cancel_all()
