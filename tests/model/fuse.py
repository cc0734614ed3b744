"""Ends a process between two of its effects on the world, as SIGKILL or a power cut does.

Effects are writes to the file system, and requests: before each of them, and in the middle of a write, a fuse may blow.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

_NEEDS_SPACE = ("write", "mkdir")
_EFFECTS = ("open", "write", "fsync", "mkdir", "rename", "link", "unlink", "rmdir")


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Counts the effects of one process.

    Attributes:
        left: effects until it blows, None while it does not.
        is_disk_full: whether nothing more can be written.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self.is_disk_full = False
        self._is_inside = False
        self._journals: set[int] = set()

    @contextmanager
    def process(self) -> Iterator[None]:
        """Count what happens inside as effects of the process.

        Raises:
            Crash: the fuse has blown.
        """
        self._is_inside = True
        try:
            yield
        finally:
            self._is_inside = False

    def burn(self) -> None:
        """Have an effect.

        Raises:
            Crash: not this one any more.
        """
        if self._is_inside and self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash

    def close_journals(self) -> None:
        """Close the journals that the process has left open, and so unlock them, as the kernel does."""
        for descriptor in list(self._journals):
            os.close(descriptor)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put the fuse into the calls of the operating system."""
        with ExitStack() as stack:
            for name in _EFFECTS:
                stack.enter_context(patch.object(os, name, self._fused(name, getattr(os, name))))
            stack.enter_context(patch.object(os, "close", self._closing(os.close)))
            stack.enter_context(patch.object(io, "open", self._opening(io.open)))
            yield

    def _fused(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def fused(*args: Any, **kwargs: Any) -> Any:
            try:
                self.burn()
            except Crash:
                if name == "write":
                    call(args[0], args[1][: len(args[1]) // 2])
                raise
            self._need_space(is_needed=name in _NEEDS_SPACE or (name == "open" and bool(args[1] & os.O_CREAT)))
            result = call(*args, **kwargs)
            if name == "open" and "journal-" in Path(args[0]).name:
                self._journals.add(result)
            return result

        return fused

    def _opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opening(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if set(mode) & set("wax+"):
                self.burn()
                self._need_space(is_needed=True)
            return call(file, mode, *args, **kwargs)

        return opening

    def _closing(self, call: Callable[[int], None]) -> Callable[[int], None]:
        def closing(descriptor: int) -> None:
            self._journals.discard(descriptor)
            call(descriptor)

        return closing

    def _need_space(self, *, is_needed: bool) -> None:
        if is_needed and self._is_inside and self.is_disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
