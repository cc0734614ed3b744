"""What is written for a job before it is submitted, and cleared away after it, as values.

The process that knows what is to be done need not be the one that does it.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from snakemake_executor_plugin_frceapi import private_files
from snakemake_executor_plugin_frceapi.jobscript import run_script

_HIDDEN = "."


class RunDirectory(NamedTuple):
    """The run directory of a submission, with everything that its job needs.

    Attributes:
        path: where it is to be.
        script: file of the run script, which jobs share.
        name: file name of the jobscript.
        jobscript: text that runs the job command.
        control: an order, and what the run script needs to know.
    """

    path: str
    script: str
    name: str
    jobscript: str
    control: str

    def write(self) -> None:
        """Write it, unless it is there.

        Raises:
            OSError: it cannot be written; then nothing of it is left.
            UnicodeError: it cannot be written, whatever happens.
        """
        # Made under another name, so that it is there completely or not at all, whenever this process is killed.
        hidden = hidden_name(Path(self.path))
        try:
            _make_anew(hidden)
            private_files.write_once(Path(self.script), run_script().encode())
            private_files.write_file(hidden / self.name, self.jobscript)
            private_files.write_file(hidden / "control", self.control)
            _rename(hidden, Path(self.path))
        except (OSError, UnicodeError):
            shutil.rmtree(hidden, ignore_errors=True)
            raise


class Leavings(NamedTuple):
    """What nobody needs any more of jobs that have ended.

    Attributes:
        files: single files.
        run_directories: run directories.
    """

    files: tuple[str, ...] = ()
    run_directories: tuple[str, ...] = ()


def clear_away(leavings: Leavings) -> None:
    """Remove what nobody needs any more; what cannot be removed stays."""
    for file in leavings.files:
        with suppress(OSError):
            Path(file).unlink()
    for directory in leavings.run_directories:
        remove(Path(directory))


def remove(path: Path) -> None:
    """Remove a run directory; what cannot be removed stays.

    It is moved out of the way first: a twin that starts just now must not find the directory without its claim.
    """
    hidden = hidden_name(path)
    try:
        path.rename(hidden)
    except OSError:
        shutil.rmtree(hidden, ignore_errors=True)  # it is in the way where a process was killed that wrote it again
        with suppress(OSError):
            path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def hidden_name(path: Path) -> Path:
    """Return the name of a run directory that is not there yet, or not any more."""
    return path.with_name(f"{_HIDDEN}{path.name}")


def token_of(name: str) -> str:
    """Return the token of the submission to which a run directory belongs, by its name or its hidden name."""
    return name.removeprefix(_HIDDEN)


def _rename(hidden: Path, path: Path) -> None:
    """Let a run directory appear, unless it is there: a directory that is not empty is never replaced, rename(2)."""
    try:
        hidden.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        shutil.rmtree(hidden)


def _make_anew(hidden: Path) -> None:
    try:
        private_files.make_new_directory(hidden)
    except FileExistsError:  # of a process that was killed as it wrote
        shutil.rmtree(hidden)
        private_files.make_new_directory(hidden)
