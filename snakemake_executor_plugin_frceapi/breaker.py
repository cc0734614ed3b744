"""Stops a run whose jobs fail one after another for a reason of the site, which no further job would escape.

A job whose own command fails says nothing about the site, and neither does one that somebody has cancelled. A job that
the API does not take, or whose command never began, may say that none will: where five say the same and none says
otherwise in between, the breaker opens, and nothing more is to be submitted. The jobs that the cluster has go on, and
each is a probe: when one begins, the breaker closes again, at first on trial, so that a single failure opens it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, unique

from snakemake_executor_plugin_frceapi.job import JobState, Refused
from snakemake_executor_plugin_frceapi.tracker import Cause, History

TRIPS_AFTER = 5
"""How many jobs must fail alike. A job that Snakemake tries again counts each time."""

_SHOWN_NODES = 3


@unique
class Stage(Enum):
    """How far jobs got that failed for a reason of the site."""

    SUBMISSION = "were not submitted"
    START = "ended before they started"


@dataclass(frozen=True, slots=True)
class SiteFault:
    """Why a job failed without a fault of its own.

    Attributes:
        stage: how far it got.
        key: equal for faults that count as the same.
        text: what happened, and what the user can do about it.
        node: node on which it happened, empty where that is not known.
    """

    stage: Stage
    key: str
    text: str
    node: str = ""


LOST = SiteFault(
    Stage.SUBMISSION,
    "lost",
    "the API never answered with a job id, and they have left no trace; ask the site what its API does with "
    "submissions",
)
"""The fault of a submission that was given up because nobody knows what became of its posts."""

_UNSEEN = (
    "check that the nodes see the working directory (one that does not ends a job with exit code 66), and read what "
    "Slurm has kept of their output"
)
_NODES = "ask the cluster's staff what its nodes suffer from"
_MEMORY = "ask for more memory with the resource mem_mb, and check --frceapi-memory-unit"

_NO_TRACE: Mapping[JobState, str] = {
    JobState.FAILED: _UNSEEN,
    JobState.COMPLETED: _UNSEEN,
    JobState.TIMEOUT: _UNSEEN,
    JobState.OUT_OF_MEMORY: _MEMORY,
    JobState.NODE_FAIL: _NODES,
    JobState.BOOT_FAIL: _NODES,
}
"""What to do about a job that ended in this state without a trace. Where somebody may have ended it, as with CANCELLED,
it says nothing about the site."""

_NOT_BEGUN: Mapping[int, str] = {
    72: "they could not enter the working directory; start Snakemake in a directory that the nodes see",
    73: "they could not make a TMPDIR; check that the directory of --frceapi-scratch is there on each node",
    74: "they could not read the file with their environment; start Snakemake in a directory that the nodes see",
}
"""Exit codes with which the run script ends a job whose command it cannot begin."""

UNSEEN = JobState.FAILED.value
"""Key of the fault of a job that has left no trace, as one does that does not see its run directory."""

_RUN_SCRIPT_SAYS = "frceapi: cannot "


def fault_of_refusal(refused: Refused) -> SiteFault:
    """Return the fault that the API named when it did not take a job."""
    return SiteFault(Stage.SUBMISSION, refused.code, refused.message)


def fault_of_end(history: History, node: str | None, last_lines: Sequence[str]) -> SiteFault | None:
    """Return why the command of a job that failed was never begun; None where it was, or where nobody can tell.

    Args:
        history: what was seen of the job.
        node: its node as it recorded that, None if it has left no such record.
        last_lines: the end of its log.
    """
    end, state = history.end, history.state
    if end is None:
        if node is not None or state is None or state not in _NO_TRACE:
            return None
        text = f"they are listed as {state.value} and have left no trace in their run directories; {_NO_TRACE[state]}"
        return SiteFault(Stage.START, state.value, text)
    if end.cause is not Cause.OWN or end.exit_code not in _NOT_BEGUN:
        return None
    # A command may end with the same exit code; what the run script says is the last line of the log.
    if last_lines and not last_lines[-1].startswith(_RUN_SCRIPT_SAYS):
        return None
    return SiteFault(Stage.START, str(end.exit_code), _NOT_BEGUN[end.exit_code], node or "")


@dataclass(slots=True)
class _Streak:
    """Faults of one kind, without a job in between that says otherwise."""

    fault: SiteFault
    count: int = 0
    nodes: set[str] = field(default_factory=set)


class CircuitBreaker:
    """Counts what says that no job can be submitted, or begin, until something says that one can."""

    def __init__(self) -> None:
        """Begin closed."""
        self._streaks: dict[str, _Streak] = {}
        self._open: _Streak | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing more is to be submitted."""
        return self._open is not None

    def note_fault(self, fault: SiteFault) -> None:
        """Note that a job failed for a reason of the site."""
        streak = self._streaks.setdefault(fault.key, _Streak(fault))
        streak.count += 1
        if len(streak.nodes) <= _SHOWN_NODES:
            streak.nodes |= {fault.node} - {""}
        if self._open is None and streak.count >= TRIPS_AFTER:
            self._open = streak

    def note_acceptance(self) -> None:
        """Note that the API took a job: nothing is wrong with submissions."""
        self._recover({Stage.SUBMISSION})

    def note_begin(self) -> None:
        """Note that the command of a job was begun, however it ended: nothing is wrong at all."""
        self._recover({Stage.SUBMISSION, Stage.START})

    def message(self) -> str:
        """Return why the breaker is open, and what the user can do: one line without a full stop."""
        streak = self._open
        assert streak is not None
        nodes = sorted(streak.nodes)
        where = (
            f" (on {', '.join(nodes[:_SHOWN_NODES])}{' and others' if nodes[_SHOWN_NODES:] else ''})" if nodes else ""
        )
        staff = "; or ask the cluster's staff to look at that node" if len(nodes) == 1 else ""
        return f"The last {streak.count} jobs {streak.fault.stage.value}{where}: {streak.fault.text}{staff}"

    def _recover(self, stages: set[Stage]) -> None:
        streak, self._open = self._open, None
        if streak is not None and streak.fault.stage not in stages:
            self._open = streak
        elif streak is not None:
            streak.count = TRIPS_AFTER - 1
            self._streaks = {streak.fault.key: streak}
            return
        self._streaks = {key: other for key, other in self._streaks.items() if other.fault.stage not in stages}
