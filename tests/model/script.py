"""The launcher and the run script in Python, step by step; ``test_script.py`` holds them against the real ones."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from snakemake_executor_plugin_frceapi.jobscript import NOT_SEEN_EXIT_CODE, TWIN_EXIT_CODE
from snakemake_executor_plugin_frceapi.tracker import Cause
from tests.model.share import Share

ENDED_EXIT_CODE = 143
"""Of a job command that was ended from outside."""

NOT_WRITABLE_EXIT_CODE = 74
"""Of a run script that cannot write into its run directory."""


@dataclass(frozen=True, slots=True)
class Go:
    """Time goes on: whatever is next happens, and a job command that runs looks at its order."""


@dataclass(frozen=True, slots=True)
class Term:
    """Slurm ends the job command."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The job command ends by itself."""

    code: int


Event: TypeAlias = Go | Term | Exit
Script: TypeAlias = Generator[None, Event, int]


class Witness(Protocol):
    """Who sees the job command run."""

    def begins(self, token: str, jobid: str, restart: int) -> None:
        """The job command begins."""

    def ends(self, token: str, jobid: str, restart: int, code: int | None) -> None:
        """It has ended, in whatever way; with this code where it has ended by itself."""

    def records(self, token: str, code: int) -> None:
        """It is on record that it has ended by itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as what a run script runs.

    Attributes:
        share: the shared file system.
        witness: sees the job command run.
        token: the submission.
        jobid: ``SLURM_JOB_ID``.
        restart: ``SLURM_RESTART_COUNT``.
        clock: returns the time in seconds.
    """

    share: Share
    witness: Witness
    token: str
    jobid: str
    restart: int
    clock: Callable[[], float]


def run_script(at: Place) -> Script:
    """Run a job; yields wherever something else can happen in between, and returns its exit code."""
    share, token = at.share, at.token
    if not share.has_job(token):
        return NOT_SEEN_EXIT_CODE
    if (yield) == Term():
        return ENDED_EXIT_CODE
    owner = share.claim(token, at.jobid)
    if owner != at.jobid:
        return TWIN_EXIT_CODE if owner else NOT_WRITABLE_EXIT_CODE
    if (yield) == Term():
        return ENDED_EXIT_CODE
    for end in share.ends(token):
        if end.external_jobid == at.jobid and end.cause is Cause.OWN:
            share.link_done(token, f"end.{at.jobid}.{end.restart}")
            return end.exit_code
    began = at.clock()
    share.record(token, "started", f"id={at.jobid} restart={at.restart} node=n1 cluster=frce start={began}\n")
    if (yield) == Term():
        return (yield from _record_end(at, ENDED_EXIT_CODE, Cause.SIGNAL, began))
    if not share.has_job(token):
        return NOT_WRITABLE_EXIT_CODE
    if share.is_cancel_ordered(token):
        return (yield from _record_end(at, ENDED_EXIT_CODE, Cause.CANCELLED, began))
    code, cause = yield from _payload(at)
    return (yield from _record_end(at, code, cause, began))


def _payload(at: Place) -> Generator[None, Event, tuple[int, Cause]]:
    at.witness.begins(at.token, at.jobid, at.restart)
    own: int | None = None
    try:
        while True:
            match (yield):
                case Term():
                    return ENDED_EXIT_CODE, Cause.SIGNAL
                case Exit(code):
                    own = code
                    return code, Cause.OWN
                case Go() if at.share.is_cancel_ordered(at.token):
                    return ENDED_EXIT_CODE, Cause.CANCELLED
    finally:
        at.witness.ends(at.token, at.jobid, at.restart, own)


def _record_end(at: Place, code: int, cause: Cause, began: float) -> Generator[None, Event, int]:
    name = f"end.{at.jobid}.{at.restart}"
    facts = f"id={at.jobid} restart={at.restart} exit={code} cause={cause.value}"
    yield
    recorded = at.share.record(at.token, name, f"{facts} start={began} end={at.clock()} cpu_ticks=0\n")
    if recorded and cause is Cause.OWN:
        at.witness.records(at.token, code)
    yield
    at.share.link_done(at.token, name)
    return code
