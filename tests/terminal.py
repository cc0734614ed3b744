"""A program in a terminal of a size, and what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyte

_MOST_SECONDS = 60.0
_LINES_KEPT = 500


@dataclass
class Terminal:
    """A terminal in which a program runs.

    Attributes:
        columns: characters in a line.
        lines: how many lines the screen has.
        process: the program.
        raw: everything that it has written.
    """

    columns: int
    lines: int
    process: subprocess.Popen[bytes]
    _controller: int
    raw: bytes = b""
    _screen: pyte.HistoryScreen = field(init=False)
    _stream: pyte.ByteStream = field(init=False)

    def __post_init__(self) -> None:
        self._screen = pyte.HistoryScreen(self.columns, self.lines, history=_LINES_KEPT)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def screen(self) -> list[str]:
        """The lines that are seen, without the empty ones below."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().splitlines()

    @property
    def scrolled(self) -> list[str]:
        """The lines that have left the screen at its top."""
        rows = self._screen.history.top
        return ["".join(row[column].data for column in range(self.columns)).rstrip() for row in rows]

    @property
    def shows_cursor(self) -> bool:
        """Whether one sees where one types."""
        return not self._screen.cursor.hidden

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Read what the program writes until something holds.

        Raises:
            TimeoutError: it does not, after a minute.
        """
        deadline = time.monotonic() + _MOST_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not seen on\n" + "\n".join(self.screen))
            self._read()

    def shows(self, text: str) -> None:
        """Wait until a text stands on the screen, and for what is written together with it."""
        self.wait_for(lambda: text in "\n".join(self.screen), text)
        while self._read():
            pass

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as who draws at the corner of its window does."""
        self.columns, self.lines = columns, lines
        _set_size(self._controller, columns, lines)
        self._screen.resize(lines, columns)

    def interrupt(self) -> int:
        """Type Ctrl-C; return the exit code."""
        os.write(self._controller, b"\x03")
        return self.end()

    def end(self) -> int:
        """Read until the program ends; return its exit code."""
        self.wait_for(lambda: self.process.poll() is not None, "the end of the program")
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        ready, _, _ = select.select([self._controller], [], [], 0.1)
        data = b""
        with suppress(OSError):  # nobody has the other end any more
            data = os.read(self._controller, 65536) if ready else b""
        self.raw += data
        self._stream.feed(data)
        return bool(data)


def _set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def in_terminal(
    command: Sequence[str | Path], columns: int, lines: int, cwd: Path, environment: Mapping[str, str]
) -> Iterator[Terminal]:
    """Run a program in a terminal of its own; it is killed at the end."""
    controller, other = pty.openpty()
    _set_size(other, columns, lines)
    name = os.ttyname(other)
    kept = {key: value for key, value in environment.items() if key not in {"COLUMNS", "LINES"}}
    # The first terminal that the leader of a session opens is the one from which Ctrl-C comes.
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', name, *map(str, command)],
        cwd=cwd,
        env={**kept, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    try:
        yield Terminal(columns, lines, process, controller)
    finally:
        process.kill()
        process.wait()
        os.close(other)
        os.close(controller)
