"""The file of a journal: one JSON object a line, to which the processes of one run append."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from snakemake_executor_plugin_frceapi.job import jsonable

_ENCODER = json.JSONEncoder(ensure_ascii=True, default=jsonable)


def line_of(event: str, **facts: object) -> bytes:
    """Return a line that says what has happened, and when that was: now.

    It begins with the end of the line before. So one that did not fit on the disk spoils no other, whichever process
    wrote it; a part of a JSON object is none, by which a reader knows it.
    """
    stamped = {"event": event, **facts, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
    return b"\n" + _ENCODER.encode(stamped).encode()


class JournalFile:
    """An open journal. Its methods may be called from any thread, but for `close`, after which none may be.

    Args:
        descriptor: of the file, open for appending.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path | str) -> JournalFile:
        """Open a journal that is there.

        Raises:
            OSError: it is not, or it cannot be written.
        """
        return cls(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW))

    def append(self, *lines: bytes) -> None:
        """Write lines that `line_of` has made.

        Raises:
            OSError: they cannot be written, or only in part.
        """
        data = b"".join(lines)
        while os.write(self._descriptor, data) < len(data):
            pass  # again from the start: the rest would stand in the line that another thread or process has begun

    def sync(self) -> None:
        """Make all that was written outlive a power failure.

        Raises:
            OSError: it may not do so.
        """
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1  # a number that never is another file's
        os.close(descriptor)
