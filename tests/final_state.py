"""What a run of Snakemake leaves, as far as it is the same in each run: files, records, messages, the next plan."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from tests.snakemake_process import Result

OF_THE_RUN = ("starttime", "endtime", "job_hash")
"""What Snakemake records of the run: times, and a hash made of addresses of its objects."""

_NUMBERS = re.compile(r"(?<=Job )\d+|(?<=jobid: )\d+|\d+(?=\.log\b)|\[\w{3} \w{3} [\d :]+\]")
"""Numbers of jobs, and times."""

_NOT_COMPARED = (".snakemake", "benchmarks", "go", "ledger", "orders")


class Place(Protocol):
    """Where Snakemake runs."""

    @property
    def directory(self) -> Path:
        """The working directory."""

    def run(self, *arguments: str) -> Result:
        """Run Snakemake to its end."""


@dataclass(frozen=True, slots=True)
class FinalState:
    """What a run has left.

    Attributes:
        exit_code: its exit code.
        errors: what it printed of each job that failed, without times, places and numbers of jobs.
        files: mode and checksum of each file below the working directory, by name.
        records: Snakemake's records by output, without times.
        incomplete: the outputs that Snakemake takes for incomplete.
        plan: what ``--dry-run`` would do next, as it prints that, without them, sorted; nothing if there is no work.
    """

    exit_code: int
    errors: list[str]
    files: dict[str, tuple[int, str]]
    records: dict[str, dict[str, Any]]
    incomplete: list[str]
    plan: list[str]


def final_state(place: Place, result: Result) -> FinalState:
    """Return what a run has left.

    Args:
        place: where it ran.
        result: how it ended.
    """
    plan = place.run("--dry-run")
    assert plan.exit_code == 0, plan.output
    return FinalState(
        exit_code=result.exit_code,
        errors=_errors(_without_numbers(result.output, place.directory)),
        files=_files(place.directory),
        records=lasting_records(place.directory),
        incomplete=sorted(_named(place.directory / ".snakemake" / "incomplete")),
        plan=_plan(_without_numbers(plan.output, place.directory)),
    )


def records(directory: Path) -> dict[str, dict[str, Any]]:
    """Return Snakemake's records by output."""
    found = _named(directory / ".snakemake" / "metadata")
    return {name: json.loads(path.read_text("utf-8")) for name, path in found.items()}


def lasting_records(directory: Path) -> dict[str, dict[str, Any]]:
    """Return Snakemake's records by output, what is of the run in them as None."""
    return {name: record | dict.fromkeys(OF_THE_RUN) for name, record in records(directory).items()}


def _named(directory: Path) -> dict[str, Path]:
    """Snakemake's own files about outputs; each is named by its output."""
    files = [path for path in directory.glob("**/*") if path.is_file() and path.suffix != ".lock"]
    return {base64.b64decode(path.name).decode(): path for path in files}


def _files(directory: Path) -> dict[str, tuple[int, str]]:
    paths = {str(path.relative_to(directory)): path for path in directory.glob("**/*")}
    return {
        name: (path.stat().st_mode, "" if path.is_dir() else sha256(path.read_bytes()).hexdigest())
        for name, path in sorted(paths.items())
        if not name.startswith(_NOT_COMPARED) and "__pycache__" not in name
    }


def _errors(text: str) -> list[str]:
    """The blocks about jobs that failed, without the last lines of their logs, which tell of times and places."""
    blocks = re.findall(r"^(?:Error in |\w+Exception|\w+Error).*\n(?:[ \t]+.*\n|\n(?=[ \t]))*", text, re.MULTILINE)
    return sorted(re.sub(r"^ {12}.*\n", "", block, flags=re.MULTILINE) for block in blocks)


def _plan(text: str) -> list[str]:
    """The lines of a plan; neither their order nor that of their words means anything."""
    _, _, plan = text.partition("Job stats:\n")
    lines = [line for line in plan.splitlines() if line and not line.startswith(("Complete log", "Elapsed time"))]
    return sorted(" ".join(sorted(line.replace(",", " ").split())) for line in lines)


def _without_numbers(text: str, directory: Path) -> str:
    return _NUMBERS.sub("N", text.replace(str(directory), "."))
