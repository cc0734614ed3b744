"""The text of the launcher, which travels in the POST, and of the run script, to which it hands over on the node."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from snakemake_executor_plugin_frceapi.errors import JobError

_LAUNCHER = """\
#!/bin/bash
d={directory}
s="$d"/{script}
for try in 1 2 3 4 5 6; do [ -e "$d/control" ] && [ -e "$s" ] && break; sleep 5; done
[ -O "$d" ] && [ -O "$d/control" ] && [ -O "$s" ] && . "$d/control" && . "$s"
echo "frceapi: $(uname -n) does not see $d as a directory of $(id -un)" >&2
exit 66
"""

NOT_SEEN_EXIT_CODE = 66
"""Exit code of the launcher on a node that does not see the run directory."""

TWIN_EXIT_CODE = 75
"""Exit code of a submission whose run directory another submission has claimed."""

UPSTREAM_EXIT_CODE = 76
"""Exit code of a job whose command was not begun, because an upstream job has not succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What the run script needs to know of one job.

    Attributes:
        directory: the job's run directory.
        done: the entry to make when the job has ended.
        log_directory: where ``<external_jobid>.log`` is written.
        workdir: working directory of the job command.
        command: the program that runs the jobscript, and its arguments.
        environment: file of NUL-separated variables to restore, or None.
        path_first: directory to put first on ``PATH``, or None.
        setup: shell lines to evaluate before the job command.
        scratch: directory on the node in which the job gets its own ``TMPDIR``, or None.
        umask: file mode creation mask of the job command.
        watch_seconds: seconds between two looks for an order, and for the end of an upstream job.
        name: what the job calls itself at Slurm, in characters that mean nothing to it; empty: it keeps its name.
        ask_limit: whether the job asks Slurm which time limit it got.
        upstream: run directories of the submissions whose commands must have ended well before this one begins.
        upstream_seconds: how long to look for those ends; a new name in a directory can stay invisible for as long as
            NFS keeps the directory's attributes, up to 60 s (nfs(5)).
        heartbeat: file that the client rewrites while it lives; with one, the job command begins only when the order in
            the run directory is to run. None where nothing is waited for.
        gate_pause_seconds: seconds, to a tenth, between two of the first hundred looks at the gate; later looks are as
            far apart as all others.
        follows_owner: whether a twin ends after the job that runs the submission, and as that does, while that lives.
        silence_seconds: how long the heartbeat stays the same until the client counts as gone and the job goes on by
            itself, in pauses of the job between two looks.
    """

    directory: Path
    done: Path
    log_directory: Path
    workdir: Path
    command: Sequence[str]
    environment: Path | None = None
    path_first: Path | None = None
    setup: str = ""
    scratch: Path | None = None
    umask: int = 0o022
    watch_seconds: int = 2
    name: str = ""
    ask_limit: bool = False
    upstream: Sequence[Path] = ()
    upstream_seconds: int = 90
    heartbeat: Path | None = None
    gate_pause_seconds: float = 0.1
    follows_owner: bool = False
    silence_seconds: int = 300

    def render(self) -> str:
        """Return the shell variables that tell it; every value is quoted."""
        return self.common() + self.own()

    def common(self) -> str:
        """Return those that are the same for all jobs of a run."""
        values = {
            "workdir": self.workdir,
            "environment": self.environment or "",
            "path_first": self.path_first or "",
            "setup": self.setup,
            "scratch": self.scratch or "",
            "umask": f"{self.umask:04o}",
            "watch_seconds": self.watch_seconds,
            "upstream_seconds": self.upstream_seconds,
            "gate_tenths": round(10 * self.gate_pause_seconds),
            "follows_owner": "yes" if self.follows_owner else "",
            "silence_seconds": self.silence_seconds,
        }
        return _assignments(values)

    def own(self) -> str:
        """Return those that each job has for itself."""
        values = {
            "directory": self.directory,
            "done": self.done,
            "log_directory": self.log_directory,
            "name": self.name,
            "ask_limit": "yes" if self.ask_limit else "",
            "heartbeat": self.heartbeat or "",
        }
        lists = {"command": self.command, "upstream": self.upstream}
        lines = [f"frceapi_{name}=({shlex.join(map(str, words))})\n" for name, words in lists.items()]
        return _assignments(values) + "".join(lines)


def _assignments(values: Mapping[str, object]) -> str:
    return "".join(f"frceapi_{name}={shlex.quote(str(value))}\n" for name, value in values.items())


def launcher(directory: str, script: str) -> str:
    """Return the script that is sent: it hands over to the run script and holds nothing but where that is.

    Args:
        directory: the job's run directory.
        script: the way from there to the run script, which jobs share.
    """
    return _LAUNCHER.format(directory=shlex.quote(directory), script=shlex.quote(script))


def interpreter(jobscript: str) -> list[str]:
    """Return the program that runs a jobscript, from its first line.

    The jobscript is handed to its interpreter instead of being executed itself, so that a file system mounted without
    the right to execute, or a file that another process has still open, cannot stop it. Where it asks for ``/bin/sh``,
    as Snakemake's own does, it gets bash: a ``/bin/sh`` that is dash passes on no functions of the environment.

    Raises:
        JobError: the first line names no program.
    """
    first = jobscript.partition("\n")[0]
    words = first[2:].split(maxsplit=1) if first.startswith("#!") else ["/bin/sh"]
    if not words:
        raise JobError("--jobscript: the first line of the file is '#!' without a program; write '#!/bin/bash'")
    program = [word.strip() for word in words]
    return ["/bin/bash"] if program == ["/bin/sh"] else program


@cache
def run_script() -> str:
    """Return the run script, which is the same for all jobs; what it needs to know of one stands in variables."""
    return files("snakemake_executor_plugin_frceapi").joinpath("run.sh").read_text("utf-8")
