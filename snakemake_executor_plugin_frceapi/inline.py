"""The text of a job that has no run directory: everything that it does stands in the script that is sent.

A request holds less than 4,000 bytes, so a script that does not fit is sent as text that unpacks itself, with base64
and gzip, which every node has. What it prints goes to a log in a directory of the cluster.
"""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_executor_plugin_frceapi.jobscript import interpreter

_FRAME = """\
umask {umask:04o}
l={log_directory}
mkdir -p "$l"&&: >>"$l/$SLURM_JOB_ID.log"&&exec >>"$l/$SLURM_JOB_ID.log" 2>&1
exec </dev/null
w=$(mktemp -d "{scratch}/frceapi-XXXXXX")||exit 73
trap 'cd /;rm -rf "$w"' EXIT
cd {workdir}||exit 72
(
"""

_REMEDIES = {
    "--config": "put the values into a file and name it with --configfile",
    "--set-resources": "write the resources into the rules",
    "--set-threads": "write the threads into the rules",
    "--default-resources": "name fewer of them",
    "--target-jobs": "make groups smaller, and wildcards shorter",
    "--allowed-rules": "make groups smaller",
    "--frceapi-export": "export fewer variables",
    "--frceapi-job-setup": "put the lines into a file that the nodes have, and source that",
}
_SHORTEN = "make it shorter"


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineScript:
    """What one job does.

    Attributes:
        log_directory: directory on the cluster in which its log is written; a ``~`` at its begin is the user's home.
        command: its job command, words for a shell.
        jobscript: text of the user that runs it, None where there is none.
        workdir: where it runs; None: in a new directory, which is removed at its end.
        scratch: directory on the node in which that is made; None: where the node has its temporary files.
        environment: variables that it gets.
        path_first: directory to put first on ``PATH``, or None.
        setup: shell lines to evaluate before the job command.
        umask: file mode creation mask of the job command.
        keep_log: whether the log stays when the job has ended well.
    """

    log_directory: str
    command: str = ""
    jobscript: str | None = None
    workdir: Path | None = None
    scratch: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    path_first: Path | None = None
    setup: str = ""
    umask: int = 0o022
    keep_log: bool = False

    def render(self) -> str:
        """Return the script; every value is quoted for the shell."""
        return "#!/bin/bash\n" + "".join(text for _, text in self.parts())

    def parts(self) -> Iterator[tuple[str, str]]:
        """Yield the pieces of the script: the option or variable that makes each as long as it is, and its text."""
        yield "", self._frame()
        for name, value in self.environment.items():
            yield f"--frceapi-export ({name})", f"export {name}={shlex.quote(value)}\n"
        if self.scratch is not None:
            yield "", 'mkdir "$w/tmp"&&export TMPDIR=$w/tmp\n'
        if self.path_first is not None:
            yield "", f"export PATH={shlex.quote(str(self.path_first))}${{PATH:+:$PATH}}\n"
        yield "--frceapi-job-setup", f"eval {shlex.quote(self.setup)}\n" if self.setup else ""
        yield from self._job()
        yield "", ")\nc=$?\n"
        yield "", "" if self.keep_log else '[ $c != 0 ]||rm -f "$l/$SLURM_JOB_ID.log"\n'
        yield "", "exit $c\n"

    def _frame(self) -> str:
        home, _, rest = self.log_directory.partition("/")
        log_directory = f"~/{shlex.quote(rest)}" if home == "~" else shlex.quote(self.log_directory)
        scratch = "${TMPDIR:-/tmp}" if self.scratch is None else _in_double_quotes(str(self.scratch))
        workdir = '"$w"' if self.workdir is None else shlex.quote(str(self.workdir))
        return _FRAME.format(umask=self.umask, log_directory=log_directory, scratch=scratch, workdir=workdir)

    def _job(self) -> Iterator[tuple[str, str]]:
        if self.jobscript is not None:
            words = shlex.join(interpreter(self.jobscript))
            yield "--jobscript", f'printf %s {shlex.quote(self.jobscript)} >"$w/j"&&{words} "$w/j"\n'
            return
        yield from _options(self.command)
        yield "", "\n"


def compress(script: str) -> str:
    """Return a script that unpacks another and runs it; its exit code is that of the other."""
    packed = base64.b64encode(gzip.compress(script.encode("utf-8", "surrogateescape"), 9, mtime=0)).decode("ascii")
    return f'#!/bin/bash\ns=$(base64 -d<<<{packed}|gzip -dc)&&eval "$s"\n'


def largest_part(script: InlineScript) -> str:
    """Return what makes a script too large, how many bytes that is when it is compressed, and what to do about it."""
    parts = list(script.parts())
    whole = _packed_size(parts)
    names = dict.fromkeys(name for name, _ in parts if name)
    sizes = {name: whole - _packed_size([part for part in parts if part[0] != name]) for name in names}
    name = max(sizes, key=lambda name: sizes[name])
    return f"{sizes[name]:,} of them are for {name}; {_REMEDIES.get(name.partition(' ')[0], _SHORTEN)}"


def _packed_size(parts: Sequence[tuple[str, str]]) -> int:
    return len(compress("".join(text for _, text in parts)))


def _options(command: str) -> Iterator[tuple[str, str]]:
    """Yield the options of a job command, each with the words that follow it, quoted as they are."""
    words: list[str] = []
    name = "the job command"
    for word in command.split(" "):
        if word.startswith("--"):
            yield name, "".join(f"{each} " for each in words)
            name, words = word, []
        words.append(word)
    yield name, " ".join(words)


def _in_double_quotes(text: str) -> str:
    return "".join(f"\\{character}" if character in '\\"$`' else character for character in text)
