"""Files and directories that only their owner may read, whatever the umask.

Each job has some, so they are made with as few system calls as there can be: Python gives up its lock for each.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake_executor_plugin_frceapi.errors import SettingsError


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file that does not exist yet, 0600.

    Raises:
        OSError: it exists, or cannot be written.
    """
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def write_once(path: Path, content: bytes) -> None:
    """Write a file whose content follows from its name, unless it is there; it appears as a whole.

    Raises:
        OSError: it cannot be written.
    """
    if os.path.exists(path):  # noqa: PTH110 - it raises nothing, whatever the file system says
        return
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_file(part, content)
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def make_new_directory(path: Path) -> None:
    """Make a directory that does not exist yet, 0700.

    Raises:
        OSError: it exists, or cannot be made.
    """
    path.mkdir(mode=0o700)
    if stat.S_IMODE(path.stat().st_mode) != 0o700:
        path.chmod(0o700)


def make_directory(path: Path) -> None:
    """Make a directory, 0700, or close one that is there to others.

    Raises:
        OSError: it cannot be made.
        SettingsError: what is there is no directory of this user.
    """
    try:
        make_new_directory(path)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise SettingsError(f"{path} is not a directory of yours; move it away and start again") from None
        if stat.S_IMODE(found.st_mode) != 0o700:
            path.chmod(0o700)


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Say in one line, for a user, why a directory cannot be written.

    Raises:
        SettingsError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be written ({error.strerror}); go to a directory of yours with free space"
        ) from None
