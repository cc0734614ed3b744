"""Runs Snakemake and notes when its executor did what, and what that has cost.

Usage: ``python -P probe.py NOTES MOST ARGUMENTS``. It ends when MOST jobs have been submitted, if that is not 0.
Methods of the classes that all executor plugins derive from are replaced, so every plugin is measured alike.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

_notes: dict[str, Any] = {
    "handed_over": [],
    "submitted": [],
    "succeeded": [],
    "gates": [],
    "commands": [],
    "own_cpu_seconds": 0.0,
}


def _replace(owner: type, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a method by what `around` makes of it."""
    method = getattr(owner, name)
    setattr(owner, name, wraps(method)(around(method)))


def _noting(key: str, most: int = 0) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Note the time and the first output of a job before a method goes on; end after so many."""

    def around(method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(executor: Any, job_info: Any, *args: Any, **kwargs: Any) -> Any:
            _notes[key].append((time.time(), str(next(iter(job_info.job.output), ""))))
            if len(_notes[key]) == most:
                _write()
                os._exit(0)
            return method(executor, job_info, *args, **kwargs)

        return noted

    return around


def _counting(method: Callable[..., Any]) -> Callable[..., Any]:
    """Count the CPU time that a method takes of the main thread."""

    def counted(*args: Any, **kwargs: Any) -> Any:
        begun = time.thread_time()
        try:
            return method(*args, **kwargs)
        finally:
            if threading.current_thread() is threading.main_thread():
                _notes["own_cpu_seconds"] += time.thread_time() - begun

    return counted


def _handing_over(method: Callable[..., Any]) -> Callable[..., Any]:
    """Note when Snakemake hands over jobs that are ready."""

    def noted(executor: Any, jobs: Any) -> Any:
        _notes["handed_over"].append(time.time())
        return method(executor, jobs)

    return noted


def _watching_gates(method: Callable[..., Any]) -> Callable[..., Any]:
    """Note the script of a job of this plugin, and how long it stood at its gate, if it went ahead of its inputs."""

    def noted(executor: Any, submission: Any) -> Any:
        spool, end = executor._parts.spool, submission.history.end  # noqa: SLF001 - nothing else knows it
        start = spool.start(submission.token)
        if submission.went_ahead and start and end:
            _notes["gates"].append(end.start - start.seconds)
        scripts = spool.job_directory(submission.token).glob("job-*")
        _notes["commands"] += [path.read_text("utf-8") for path in scripts]
        return method(executor, submission)

    return noted


def _summing_up(method: Callable[..., Any]) -> Callable[..., Any]:
    """Add the CPU time of the plugin's threads, which end here."""

    def noted(executor: Any) -> Any:
        threads = [thread.ident for thread in threading.enumerate() if thread is not threading.main_thread()]
        clocks = [time.pthread_getcpuclockid(ident) for ident in threads if ident]
        _notes["own_cpu_seconds"] += sum(map(time.clock_gettime, clocks))
        return method(executor)

    return noted


def _install(most: int) -> None:
    from snakemake_interface_executor_plugins.executors.base import AbstractExecutor
    from snakemake_interface_executor_plugins.executors.real import RealExecutor
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    _replace(RealExecutor, "report_job_submission", _noting("submitted", most))
    _replace(AbstractExecutor, "report_job_success", _noting("succeeded"))
    chosen = next(word.partition("=")[2] for word in sys.argv if word.startswith("--executor="))
    plugin: Any = ExecutorPluginRegistry().get_plugin(chosen)
    executor = plugin.executor
    for name in ("handle_job_success", "run_jobs"):
        _replace(executor, name, _counting)
    _replace(executor, "run_jobs", _handing_over)
    _replace(executor, "shutdown", _summing_up)
    if "--frceapi-lookahead" in " ".join(sys.argv):
        _replace(executor, "succeeded", _watching_gates)


def _write() -> None:
    times = os.times()
    children = times.children_user + times.children_system
    spent = {"cpu_seconds": time.process_time(), "children_cpu_seconds": children, "peak_bytes": _peak_bytes()}
    notes = _notes | spent
    Path(sys.argv[1]).write_text(json.dumps(notes), encoding="utf-8")


def _peak_bytes() -> int:
    """Return the most memory that this process has had; what getrusage(2) tells is that of its parent, too."""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Run Snakemake to its end and write the notes."""
    from snakemake.cli import main as run_snakemake

    _install(int(sys.argv[2]))
    try:
        run_snakemake(sys.argv[3:])
    finally:
        _write()


if __name__ == "__main__":
    main()
