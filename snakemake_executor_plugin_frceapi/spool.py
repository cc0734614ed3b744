"""The run directory on the shared file system: one directory a submission, and the markers that jobs leave there.

Files are read only where they are complete: a writer makes them under another name and renames them. What cannot be
read now (a stale handle, an entry that the attribute cache still hides) counts as absent and is looked for again.
"""

from __future__ import annotations

import os
import pwd
import secrets
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from snakemake_executor_plugin_frceapi import private_files, run_directory
from snakemake_executor_plugin_frceapi.jobscript import interpreter, launcher, run_script
from snakemake_executor_plugin_frceapi.markers import (
    Order,
    Start,
    order_line,
    parse_claim,
    parse_end,
    parse_order,
    parse_peak,
    parse_start,
)
from snakemake_executor_plugin_frceapi.run_directory import RunDirectory
from snakemake_executor_plugin_frceapi.tracker import End

_LONGEST_MARKER = 4096


class Spool:
    """The run directories of one user in one Snakemake working directory.

    Args:
        root: the directory that holds them, such as ``.snakemake/frceapi``.

    Raises:
        SettingsError: the directory belongs to somebody else, is no directory or cannot be written.

    Attributes:
        is_shared: whether jobs see it.
    """

    is_shared = True

    def __init__(self, root: Path) -> None:
        self.directory = user_directory(root)
        self._jobs = self.directory / "jobs"
        self._done = self.directory / "done"
        self._shared = self.directory / "shared"
        self._script = self._shared / _run_script_name()
        self._ordering = threading.Lock()
        self._unwritten: dict[Path, bytes] = {}
        with private_files.writing(self.directory):
            root.mkdir(parents=True, exist_ok=True)
            for directory in (self.directory, self._jobs, self._done, self._shared):
                private_files.make_directory(directory)

    def job_directory(self, token: str) -> Path:
        """Return the run directory of a submission."""
        return self._jobs / token

    def done_entry(self, token: str) -> Path:
        """Return the entry that appears when the submission's job has ended."""
        return self._done / token

    def heartbeat(self, name: str) -> Path:
        """Return the file that shows jobs at their gates that a run lives."""
        return self.directory / f"heartbeat-{name}"

    def run_directory(
        self, token: str, name: str, jobscript: str, settings: str, *, gated: bool = False
    ) -> RunDirectory:
        """Return the run directory of a submission as it is to be written.

        Args:
            token: the submission's token, not used before.
            name: file name of the jobscript.
            jobscript: text that runs the job command.
            settings: what the run script needs to know, which runs that jobscript, as `RunSettings` renders it.
            gated: whether the job command begins only after `open_gate`; the run script needs a heartbeat for that.
        """
        control = order_line(Order.GATE if gated else Order.RUN) + settings
        return RunDirectory(str(self.job_directory(token)), str(self._script), name, jobscript, control)

    def launcher(self, token: str) -> str:
        """Return the script that is sent for a submission."""
        return launcher_below(self.directory, token)

    def jobscript_command(self, token: str, jobscript: str, name: str) -> list[str]:
        """Return the command that runs a jobscript of this run directory."""
        return [*interpreter(jobscript), f"{self.job_directory(token)}/{name}"]

    def share(self, kind: str, content: bytes) -> Path:
        """Return the file of something that several jobs read, which `write_shared` writes.

        Args:
            kind: what it is, such as ``env``.
            content: the content of the file, which names it.
        """
        path = self._shared / _shared_name(kind, content)
        if not os.path.exists(path):  # noqa: PTH110 - it raises nothing, whatever the file system says
            self._unwritten[path] = content
        return path

    def write_shared(self) -> None:
        """Write what jobs share and is not there yet; until that is done, none may begin.

        Raises:
            OSError: it cannot be written.
        """
        for path, content in list(self._unwritten.items()):
            private_files.write_once(path, content)
            self._unwritten.pop(path, None)

    def order_cancel(self, token: str) -> bool:
        """Forbid a submission to begin, and end it where it runs.

        Returns:
            Whether it cannot begin any more: the order was written, or its run directory is gone.
        """
        try:
            with self._ordering, self._control(token).open("r+", encoding="ascii") as file:
                file.write(order_line(Order.CANCEL))
        except FileNotFoundError:
            return self._jobs.is_dir()  # else the whole file system is away, as after a sleep of the machine
        except OSError:
            return False
        return True

    def open_gate(self, token: str) -> bool:
        """Let a submission that waits at its gate begin; an order to cancel stands.

        Returns:
            Whether it may begin now: False where it was cancelled or is gone, or where the file system fails.
        """
        # Rewritten in place, as the order to cancel is: a new name can stay invisible on NFS for a minute (nfs(5)).
        try:
            with self._ordering, self._control(token).open("r+b") as file:
                order = parse_order(file.read(_LONGEST_MARKER).decode("utf-8", "replace"))
                if order is Order.GATE:
                    file.seek(0)
                    file.write(order_line(Order.RUN).encode())
        except OSError:
            return False
        return order in (Order.GATE, Order.RUN)

    def remove_heartbeat(self, name: str) -> None:
        """Remove the heartbeat of a run, and what jobs have noted of its silence."""
        for path in (self.heartbeat(name), Path(f"{self.heartbeat(name)}.silent")):
            path.unlink(missing_ok=True)

    def write_heartbeat(self, name: str, count: int) -> bool:
        """Show that a run lives: rewrite its heartbeat in place, with a count that it did not have before.

        Returns:
            Whether it was written.
        """
        path, content = self.heartbeat(name), f"{count:020}\n"
        try:
            if not path.exists():
                private_files.write_file(path, content)
            else:
                with path.open("r+", encoding="ascii") as file:
                    file.write(content)
        except OSError:
            return False
        return True

    def new_ends(
        self, wanted: Container[str], owner: Callable[[str], str | None] = lambda _: None
    ) -> Iterator[tuple[str, End]]:
        """Look once for jobs that have ended.

        Args:
            wanted: tokens of interest; the entries of other runs are left alone.
            owner: returns the external jobid of the only job that there is for a submission, or None where there may
                be several: then the claim tells whose end it is.

        Yields:
            Token and end of each.
        """
        try:
            with os.scandir(self._done) as entries:
                names = [entry.name for entry in entries if entry.name in wanted]
        except OSError:
            return
        for name in names:
            end = parse_end(_read(self._done / name))
            if end and (end.external_jobid == owner(name) or self._is_by_owner(name, end)):
                yield name, end

    def latest_end(self, token: str) -> End | None:
        """Return the end with the highest restart that stands in a run directory, linked or not."""
        ends = [parse_end(_read(path)) for path in _listdir(self.job_directory(token)) if path.name.startswith("end.")]
        valid = (end for end in ends if end and self._is_by_owner(token, end))
        return max(valid, key=lambda end: end.restart, default=None)

    def claimed_by(self, token: str) -> str | None:
        """Return the external jobid of the job that has claimed a submission, or None."""
        return parse_claim(_read(self.job_directory(token) / "claim"))

    def start(self, token: str) -> Start | None:
        """Return what the job of a submission recorded as it started, or None."""
        return parse_start(_read(self.job_directory(token) / "started"))

    def peak_mb(self, token: str) -> int | None:
        """Return the memory in MB that the job of a submission was seen to hold at most, or None."""
        return parse_peak(_read(self.job_directory(token) / "peak"))

    def forget_end(self, token: str) -> None:
        """Take an end out of the listing of ends, which so does not grow with the run."""
        with suppress(OSError):
            self.done_entry(token).unlink()

    def remove_job(self, token: str) -> None:
        """Remove everything of a submission whose job has ended by itself."""
        run_directory.remove(self.job_directory(token))

    def erase(self, token: str) -> None:
        """Remove everything of a submission and its end, which its job may be about to list.

        The end goes last: a job finds nothing to list any more once its run directory is gone.
        """
        self.remove_job(token)
        self.forget_end(token)

    def tokens(self) -> set[str]:
        """Return the tokens of which a run directory or an end is left."""
        found = (path.name for directory in (self._jobs, self._done) for path in _listdir(directory))
        return set(map(run_directory.token_of, found))

    def has_job(self, token: str) -> bool:
        """Return whether the run directory of a submission is there."""
        return self.job_directory(token).is_dir()

    def is_cancel_ordered(self, token: str) -> bool:
        """Return whether a submission was forbidden to begin."""
        return parse_order(_read(self._control(token))) is Order.CANCEL

    def discard(self, token: str) -> None:
        """Forbid a submission of an earlier run to begin, and remove everything of it unless its job may be running."""
        self.order_cancel(token)
        start, end = self.start(token), self.latest_end(token)
        if self.claimed_by(token) is None or (end is not None and (start is None or start.restart <= end.restart)):
            self.erase(token)

    def has_jobs(self) -> bool:
        """Return whether a run directory is left."""
        return bool(_listdir(self._jobs))

    def remove_shared(self) -> None:
        """Remove everything that jobs have shared."""
        for path in _listdir(self._shared):
            with suppress(OSError):
                path.unlink()

    def _is_by_owner(self, token: str, end: End) -> bool:
        """Whether an end is that of the job which has claimed the submission, as far as the claim can be seen here."""
        return self.claimed_by(token) in (None, end.external_jobid)

    def _control(self, token: str) -> Path:
        return self.job_directory(token) / "control"


def launcher_below(directory: Path, token: str) -> str:
    """Return the script that is sent for a submission whose run directory is, or would be, below a user's directory."""
    return launcher(f"{directory}/jobs/{token}", f"../../shared/{_run_script_name()}")


@cache
def _run_script_name() -> str:
    return _shared_name("run", run_script().encode())


def _shared_name(kind: str, content: bytes) -> str:
    return f"{kind}-{sha256(content).hexdigest()[:16]}"


def user_directory(root: Path) -> Path:
    """Return where the run directories of this user are below `root`, made or not."""
    return root / _user_name()


def new_token() -> str:
    """Return a new token: random, so that nobody can guess a name in advance."""
    return secrets.token_hex(8)


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _LONGEST_MARKER).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _listdir(path: Path) -> Iterable[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
