"""Which processes belong to a job, what they use, and how they are ended.

A job's batch script leads a session of its own. The session's members and all their descendants are the job's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Iterable

import psutil

_SWEEPS = 100
_SWEEP_PAUSE_S = 0.02


def session_members(leader: int) -> set[int]:
    """The processes in the session of `leader`, itself included, as far as they exist."""
    return {pid for pid in psutil.pids() if _session_of(pid) == leader}


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def resident_mb(leaders: Collection[int]) -> dict[int, int]:
    """The resident memory in MB of all processes of each leader's job. One pass over all processes of the machine."""
    members = _members(leaders)
    return {leader: sum(map(_resident_bytes, pids)) // 2**20 for leader, pids in members.items()}


def _members(leaders: Collection[int]) -> dict[int, set[int]]:
    by_session: defaultdict[int, list[int]] = defaultdict(list)
    children: defaultdict[int, list[int]] = defaultdict(list)
    for process in psutil.process_iter(["ppid"]):
        children[process.info["ppid"] or 0].append(process.pid)
        by_session[_session_of(process.pid) or 0].append(process.pid)
    return {leader: _closure(by_session[leader], children) for leader in leaders}


def _closure(pids: Iterable[int], children: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    left = list(pids)
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left.extend(children.get(pid, ()))
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def signal_job(leader: int, number: signal.Signals) -> None:
    """Send a signal to every process group of a job's session, and wake what is stopped."""
    for group in {_group_of(pid) for pid in session_members(leader)} - {None}:
        _signal_group(group, number)
        _signal_group(group, signal.SIGCONT)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _signal_group(group: int | None, number: signal.Signals) -> None:
    if group:
        with contextlib.suppress(OSError):
            os.killpg(group, number)


def kill_job(leader: int) -> None:
    """End every process of a job now, its descendants in other sessions included."""
    pids = _members([leader])[leader]
    signal_job(leader, signal.SIGKILL)
    _kill(pids)


def sweep_job(leader: int) -> None:
    """End what is left of a job whose batch script has ended, and see that it is gone.

    The leader must not have been reaped yet, so that its number cannot belong to another process.
    """
    for _ in range(_SWEEPS):
        left = {pid for pid in session_members(leader) - {leader} if _is_alive(pid)}
        if not left:
            return
        _kill(left)
        time.sleep(_SWEEP_PAUSE_S)


def kill_marked(variable: str, value: str) -> None:
    """End every process of this user whose environment has `variable` with `value`: what left its session, too."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid() and process.environ().get(variable) == value:
                _kill([process.pid])


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
