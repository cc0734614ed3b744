"""A payload that checks its inputs: each file ends with the checksum of what stands before.

A program for workflows: ``python sealed.py OUTPUT... -- INPUT... [-- WORD...]``. What is made follows from the names of
the outputs, the content of the inputs and the words, and from nothing else. Outputs that end with ``.d`` are
directories; those that end with ``.flag`` are left to Snakemake.

A file ``orders/OUTPUT``, with ``/`` as ``_``, holds one word and files that the payload of that output waits for. Then
it goes on, if the word is ``wait``; fails, if it is ``fail``; or fails this time only, if it is ``once``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

BROKEN = "broken"
"""File with a line for each payload that began before its inputs were complete."""

_LONGEST_WAIT_SECONDS = 120.0


def read(name: str) -> str:
    """Return the content of a file without its checksum, or that of all files of a directory.

    Raises:
        ValueError: it is not complete.
    """
    path = Path(name)
    if path.is_dir():
        return "".join(read(str(file)) for file in sorted(path.glob("[!.]*")))
    if name.endswith(".flag"):
        return path.read_text("utf-8")
    content, _, seal = path.read_text("utf-8").rstrip("\n").rpartition("\n")
    if seal != _sum(content):
        raise ValueError(f"{name} is not complete")
    return content


def make(
    outputs: Sequence[str], inputs: Sequence[str], words: Sequence[str] = (), *, pause_seconds: float = 0.2
) -> None:
    """Make outputs of inputs, slowly, so that each is incomplete for a while.

    Raises:
        SystemExit: an input is not complete, or the payload is to fail.
    """
    name, jobid = outputs[0], os.environ.get("SLURM_JOB_ID", "0")
    _note("ledger", f"begin {name} {jobid}")
    try:
        sums = [f"{file} {_sum(read(file))}" for file in inputs]
    except (OSError, ValueError) as error:
        _note(BROKEN, f"{name}: {error}")
        sys.exit(9)
    _obey(Path("orders", name.replace("/", "_")))
    for file in (*map(Path, outputs), *_files(outputs)):
        file.parent.mkdir(parents=True, exist_ok=True)
    for file in _files(outputs):
        write(file, "\n".join([str(file), *sums, *words]), pause_seconds)
    _note("ledger", f"end {name} {jobid}")


def write(path: Path, content: str, pause_seconds: float = 0.0) -> None:
    """Write a file and, a while later, its checksum."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        time.sleep(pause_seconds)
        stream.write(f"\n{_sum(content)}\n")


def _files(outputs: Sequence[str]) -> Iterator[Path]:
    for name in outputs:
        if name.endswith(".d"):
            yield from (Path(name, "one"), Path(name, "two"))
        elif not name.endswith(".flag"):
            yield Path(name)


def _obey(order: Path) -> None:
    if not order.exists():
        return
    kind, *files = order.read_text("utf-8").split()
    begin = time.monotonic()
    while not all(Path(file).exists() for file in files) and time.monotonic() < begin + _LONGEST_WAIT_SECONDS:
        time.sleep(0.1)
    if kind == "once":
        order.unlink()
    if kind != "wait":
        sys.exit(3)


def _note(file: str, line: str) -> None:
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")


def _sum(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8")).hexdigest()


def _main(arguments: Sequence[str]) -> None:
    parts: list[list[str]] = [[]]
    for argument in arguments:
        if argument == "--":
            parts.append([])
        else:
            parts[-1].append(argument)
    make(parts[0], parts[1], *parts[2:])


if __name__ == "__main__":
    _main(sys.argv[1:])
