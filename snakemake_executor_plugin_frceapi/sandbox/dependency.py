"""What a Slurm dependency expression means; sbatch(1), ``--dependency``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from enum import Enum

_TERM = re.compile(r"(after|afterok|afterany|afternotok|aftercorr)((?::\d{1,9}(?:\+\d{1,6})?)+)", re.ASCII)


class MalformedDependency(ValueError):
    """An expression that sbatch would refuse."""


class Outlook(Enum):
    """What a dependency says about its job now."""

    MET = "met"
    WAITING = "waiting"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Link:
    """One condition on one other job.

    Attributes:
        kind: ``after``, ``afterok``, ``afterany``, ``afternotok``, ``aftercorr`` or ``singleton``.
        job_id: the other job; 0 for ``singleton``.
        delay_minutes: for ``after:ID+MINUTES``.
    """

    kind: str
    job_id: int = 0
    delay_minutes: int = 0


@dataclass(frozen=True, slots=True)
class Dependency:
    """All conditions of one job.

    Attributes:
        links: the conditions, one for each id, as Slurm keeps them.
        any_of: one is enough (``?``); otherwise all must hold (``,``).
    """

    links: tuple[Link, ...]
    any_of: bool = False

    @property
    def job_ids(self) -> frozenset[int]:
        """The jobs that it names."""
        return frozenset(link.job_id for link in self.links if link.job_id)

    @property
    def has_singleton(self) -> bool:
        """True if it asks to be the only job of its name."""
        return any(link.kind == "singleton" for link in self.links)

    def without(self, forgotten: Container[int]) -> Dependency | None:
        """The expression with all conditions on `forgotten` jobs taken as met; None if nothing is left to wait for."""
        links = tuple(link for link in self.links if link.job_id not in forgotten)
        if not links or (self.any_of and links != self.links):
            return None
        return replace(self, links=links)


@dataclass(frozen=True, slots=True)
class Upstream:
    """What is known of a job that another one waits for.

    Attributes:
        begun_at: when it started, or was cancelled before that, in seconds since the epoch; None: neither yet.
        ended: nothing of it runs any more and it will not run again.
        succeeded: it ended with exit code 0.
    """

    begun_at: float | None = None
    ended: bool = False
    succeeded: bool = False


def parse_dependency(text: str) -> Dependency:
    """The conditions in `text`.

    Raises:
        MalformedDependency: it is not an expression, or mixes ``,`` with ``?``.
    """
    if "," in text and "?" in text:
        raise MalformedDependency(f"dependency {text!r} mixes ',' and '?'")
    any_of = "?" in text
    terms = text.split("?" if any_of else ",")
    return Dependency(tuple(link for term in terms for link in _links(term)), any_of)


def _links(term: str) -> Iterator[Link]:
    if term == "singleton":
        yield Link("singleton")
        return
    found = _TERM.fullmatch(term)
    if found is None or ("+" in term and found[1] != "after"):
        raise MalformedDependency(f"dependency term {term!r} is none of sbatch's")
    for part in found[2][1:].split(":"):
        job_id, _, minutes = part.partition("+")
        yield Link(found[1], int(job_id), int(minutes or 0))


def outlook(dependency: Dependency, upstream: Callable[[int], Upstream], now: float, *, is_alone: bool) -> Outlook:
    """Whether a job may start.

    Args:
        dependency: its conditions.
        upstream: what is known of the job with an id.
        now: in seconds since the epoch.
        is_alone: no earlier job of the same user and name is left.
    """
    seen = {_link_outlook(link, upstream, now, is_alone=is_alone) for link in dependency.links}
    if dependency.any_of:
        order = (Outlook.MET, Outlook.WAITING, Outlook.NEVER)
    else:
        order = (Outlook.NEVER, Outlook.WAITING, Outlook.MET)
    return next(verdict for verdict in order if verdict in seen)


def _link_outlook(link: Link, upstream: Callable[[int], Upstream], now: float, *, is_alone: bool) -> Outlook:
    if link.kind == "singleton":
        return Outlook.MET if is_alone else Outlook.WAITING
    job = upstream(link.job_id)
    if link.kind == "after":
        begun = job.begun_at is not None and now >= job.begun_at + link.delay_minutes * 60
        return Outlook.MET if begun else Outlook.WAITING
    if not job.ended:
        return Outlook.WAITING
    wanted = {"afterany": True, "afternotok": not job.succeeded}.get(link.kind, job.succeeded)
    return Outlook.MET if wanted else Outlook.NEVER
