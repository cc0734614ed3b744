"""The user's jobs: the listing, joined with what the files of a working directory tell of them.

What is looked at may belong to a run that lives, so nothing is changed or removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from snakemake_executor_plugin_frceapi.job import JobState, Listing
from snakemake_executor_plugin_frceapi.job_table import read_jobs, wildcards_text
from snakemake_executor_plugin_frceapi.journal import Entry, journals, replay
from snakemake_executor_plugin_frceapi.spool import Spool, user_directory
from snakemake_executor_plugin_frceapi.tracker import End
from snakemake_executor_plugin_frceapi.unshared import UnsharedSpool

NOT_LISTED = "not listed"
"""What stands for the state of a job whose run directory is there and that the service does not list."""


@dataclass(frozen=True, slots=True)
class KnownJob:
    """What the files of a working directory tell of a job.

    Attributes:
        external_jobid: its number at Slurm.
        rule: name of its rule or group.
        wildcards: its wildcards as people read them.
        log: its log, which need not exist.
        entry: its submission, if nobody has settled that yet.
        spool: where its run directory is, if it has one, and its journal; None where nothing is left of both.
        node: the node that it has begun on, empty if it has not or that is not known any more.
    """

    external_jobid: str
    rule: str
    wildcards: str
    log: Path
    entry: Entry | None = None
    spool: Spool | None = None
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job as people and programs are shown it; empty: not known.

    Attributes:
        job: its number at Slurm.
        state: its state as the service writes it.
        partition: its partition.
        start: when it began, as the service writes it.
        end: when it ended or has to, likewise.
        node: the node that it has begun on.
        rule: name of its rule or group.
        wildcards: its wildcards.
        log: its log.
        is_active: whether it waits or runs.
    """

    job: str
    state: str
    partition: str = ""
    start: str = ""
    end: str = ""
    node: str = ""
    rule: str = ""
    wildcards: str = ""
    log: str = ""
    is_active: bool = True


_SPOOLS = {"frceapi": Spool, "frceapi-unshared": UnsharedSpool}


class Workplace:
    """The files of the runs in one working directory.

    Args:
        persistence: Snakemake's directory for its own files, such as ``.snakemake``.
        log_root: directory of all job logs, None for the usual one.
    """

    def __init__(self, persistence: Path, log_root: Path | None = None) -> None:
        roots = {persistence.absolute() / name: kind for name, kind in _SPOOLS.items()}
        self._spools = [kind(root) for root, kind in roots.items() if user_directory(root).is_dir()]
        self._table = (log_root or persistence / "frceapi_logs") / "jobs.tsv"

    def jobs(self) -> dict[str, KnownJob]:
        """Return the jobs that are known here, by external jobid."""
        table = read_jobs(self._table)
        known = {jobid: KnownJob(jobid, *facts) for jobid, facts in table.items()}
        for job in self._open_jobs():
            _, wildcards, _ = table.get(job.external_jobid, ("", "", Path()))
            known[job.external_jobid] = replace(job, wildcards=job.wildcards or wildcards)
        return known

    def end_of(self, job: KnownJob) -> End | None:
        """Return the end of a job that stands in its run directory, or None."""
        return job.spool.latest_end(job.entry.token) if job.spool and job.entry else None

    def is_over(self, job: KnownJob) -> bool:
        """Whether a job has ended: it says so itself, or its run directory has been removed."""
        if job.spool is None or job.entry is None or not job.spool.has_job(job.entry.token):
            return True
        return self.end_of(job) is not None

    def _open_jobs(self) -> Iterator[KnownJob]:
        found = ((spool, entry) for spool in self._spools for entry in replay(_lines(spool.directory)).values())
        for spool, entry in found:
            owner = spool.claimed_by(entry.token) or entry.external_jobid
            if owner and entry.is_open and spool.has_job(entry.token):
                start = spool.start(entry.token)
                yield KnownJob(
                    owner,
                    entry.rule,
                    wildcards_text(entry.wildcards),
                    entry.log_directory / f"{owner}.log",
                    replace(entry, external_jobid=owner),
                    spool,
                    start.node if start else "",
                )


def joined(listing: Listing, known: Mapping[str, KnownJob], directory: Path) -> list[Row]:
    """Return a row for each job: those that have ended, then those that wait, then those that run, each by number.

    Args:
        listing: what the service tells.
        known: what the working directory tells; of what is over, only jobs that are listed are shown.
        directory: the working directory, below which logs are shown by their relative path.
    """
    rows = [
        Row(
            job=status.external_jobid,
            state=status.state_word,
            partition=status.partition,
            start=status.start,
            end=status.end,
            is_active=not status.state.is_final,
        )
        for status in listing.jobs.values()
    ]
    rows += [
        Row(job=job.external_jobid, state=NOT_LISTED, partition=job.entry.request.partition)
        for job in known.values()
        if job.entry and job.external_jobid not in listing.jobs
    ]
    told = [_with(row, known.get(row.job), directory) for row in rows]
    return sorted(told, key=lambda row: (row.is_active, row.state != JobState.PENDING.value, int(row.job)))


def _with(row: Row, job: KnownJob | None, directory: Path) -> Row:
    if job is None:
        return row
    log = job.log.relative_to(directory) if job.log.is_relative_to(directory) else job.log
    return replace(row, rule=job.rule, wildcards=job.wildcards, log=str(log), node=job.node)


def _lines(directory: Path) -> Iterator[str]:
    for path in journals(directory):
        with suppress(OSError):  # it is gone with its run
            yield from path.read_text("utf-8", "replace").splitlines()
