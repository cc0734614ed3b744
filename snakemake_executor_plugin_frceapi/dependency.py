"""Slurm dependency expressions, as sbatch(1) describes them at ``--dependency``."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, unique
from itertools import groupby

from snakemake_executor_plugin_frceapi.errors import JobError

_JOB = r"[1-9][0-9]{0,9}"
_CLAUSE = re.compile(rf"after(?::{_JOB}(?:\+[0-9]{{1,9}})?)+|after(?:ok|any|notok|corr)(?::{_JOB})+")


@unique
class Kind(Enum):
    """What another job must have done."""

    AFTER = "after"
    """It has begun or was cancelled, and some minutes have passed since."""
    AFTEROK = "afterok"
    """It has ended with exit code 0."""
    AFTERANY = "afterany"
    """It has ended."""
    AFTERNOTOK = "afternotok"
    """It has failed."""
    AFTERCORR = "aftercorr"
    """As ``afterok``, task by task where both are job arrays, which jobs of the API never are."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one other job must have done.

    Attributes:
        kind: what.
        external_jobid: the other job.
        minutes: how long to wait after it, for `Kind.AFTER`.
    """

    kind: Kind
    external_jobid: str
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class Dependency:
    """An expression that may be sent; its text is what Slurm reads.

    Attributes:
        conditions: one for each job named, at least one.
        any_of: one of them is enough (``?``), where there are several; otherwise all must hold (``,``).
    """

    conditions: tuple[Condition, ...]
    any_of: bool = False

    def __str__(self) -> str:
        if self.any_of:
            return "?".join(_clause(condition.kind, [condition]) for condition in self.conditions)
        groups = groupby(self.conditions, lambda condition: condition.kind)
        return ",".join(_clause(kind, group) for kind, group in groups)

    def jobids(self) -> frozenset[str]:
        """Return the external jobids of all jobs that it names."""
        return frozenset(condition.external_jobid for condition in self.conditions)

    def must_succeed(self) -> frozenset[str]:
        """Return the external jobids of those jobs that must have ended with exit code 0, each of them."""
        if self.any_of:
            return frozenset()
        kinds = (Kind.AFTEROK, Kind.AFTERCORR)
        return frozenset(condition.external_jobid for condition in self.conditions if condition.kind in kinds)

    def without(self, met: Container[str]) -> Dependency | None:
        """Return what is left to wait for.

        Args:
            met: external jobids of jobs on which every condition is met. Slurm refuses a job that it no longer knows,
                or takes a condition on it as met.

        Returns:
            The expression without those jobs, None if it waits for nothing any more.
        """
        left = tuple(condition for condition in self.conditions if condition.external_jobid not in met)
        if not left or (self.any_of and left != self.conditions):
            return None
        return replace(self, conditions=left)


def parse(text: str) -> Dependency:
    """Read an expression.

    Clauses are ``after:ID[+MINUTES][:ID…]`` and ``afterok``, ``afterany``, ``afternotok``, ``aftercorr`` with
    ``:ID[:ID…]``. They are joined by ``,`` (all of them) or by ``?`` (any of the jobs), never by both.

    Raises:
        JobError: it is no such expression. ``singleton`` is refused too: it waits for all jobs of the same name and
            user, and the API gives every job of a user the same name.
    """
    if "singleton" in text:
        raise JobError(
            f"dependency {text!r}: 'singleton' would make all of your jobs run one after another, because the API gives"
            " them all the same name; name the job ids instead, such as 'afterany:101:102'"
        )
    if "," in text and "?" in text:
        raise JobError(
            f"dependency {text!r} mixes ',' (all) and '?' (any), which Slurm does not allow; use one of them"
        )
    clauses = re.split("[,?]", text)
    if not all(map(_CLAUSE.fullmatch, clauses)):
        raise JobError(
            f"dependency {text!r} is not understood; write TYPE:ID[:ID...], joined by ',' or '?' and without spaces,"
            " where TYPE is after, afterok, afterany, afternotok or aftercorr, such as 'afterok:101:102'"
        )
    return Dependency(tuple(condition for clause in clauses for condition in _conditions(clause)), "?" in text)


def combine(asked: Dependency | None, jobids: Iterable[str]) -> Dependency | None:
    """Join what a rule asks for with jobs that must have ended well.

    Args:
        asked: the rule's own expression, None if it has none.
        jobids: external jobids of the jobs that make its inputs, those that are still active.

    Raises:
        JobError: the rule's expression waits for any of its jobs, which Slurm cannot join with others.
    """
    added = tuple(dict.fromkeys(Condition(Kind.AFTEROK, jobid) for jobid in jobids))
    if not added:
        return asked
    if asked is None:
        return Dependency(added)
    if asked.any_of:
        raise JobError(
            f"dependency '{asked}' waits for any of its jobs ('?') and cannot be joined with '{Dependency(added)}', for"
            " the jobs that make its inputs, because Slurm never mixes '?' and ','; join its clauses by ','"
        )
    return Dependency(asked.conditions + tuple(item for item in added if item not in asked.conditions))


def _conditions(clause: str) -> Iterator[Condition]:
    kind, *jobs = clause.split(":")
    for job in jobs:
        jobid, _, minutes = job.partition("+")
        yield Condition(Kind(kind), jobid, int(minutes or 0))


def _clause(kind: Kind, conditions: Iterable[Condition]) -> str:
    jobs = (f"{item.external_jobid}+{item.minutes}" if item.minutes else item.external_jobid for item in conditions)
    return ":".join([kind.value, *jobs])
