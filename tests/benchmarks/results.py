"""The results as JSON, with the versions of all that was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

from tests.benchmarks.peers import CLUSTER_GENERIC, SLURM
from tests.benchmarks.scenario import Values, Verdict


def write(place: Path, found: Mapping[str, Values], verdicts: Mapping[str, Iterable[Verdict]]) -> Path:
    """Write everything into a file of its own below `place`, and return that."""
    path = place / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    text = json.dumps({"versions": versions(), "values": found, "targets": list(_rows(verdicts))}, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")
    return path


def versions() -> dict[str, str]:
    """Return the versions of Snakemake and all its plugins, of Python, Slurm and the machine."""
    places = [str(peer.place) for peer in (SLURM, CLUSTER_GENERIC)]
    packages = [*distributions(), *distributions(path=places)]
    return {
        **{package.name: package.version for package in packages if package.name.startswith("snakemake")},
        "python": platform.python_version(),
        "slurm": subprocess.run(["slurmd", "-V"], capture_output=True, text=True, check=True).stdout.strip(),
        "machine": f"{platform.platform()}, {os.cpu_count()} CPUs",
    }


def _rows(verdicts: Mapping[str, Iterable[Verdict]]) -> Iterator[dict[str, object]]:
    for name, found in verdicts.items():
        for verdict in found:
            target = verdict.target
            yield {
                "scenario": name,
                "what": target.text,
                "value": verdict.value,
                "limit": target.limit,
                "at least": target.at_least,
                "met": verdict.is_met,
            }
