"""Tests of what the files of a working directory tell of jobs, and of how a listing is joined with it and shown."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from snakemake_executor_plugin_frceapi.cli import main
from snakemake_executor_plugin_frceapi.cli.jobs import fitting_columns, summary
from snakemake_executor_plugin_frceapi.job import JobRequest, JobState, JobStatus, Listing
from snakemake_executor_plugin_frceapi.job_table import job_row
from snakemake_executor_plugin_frceapi.journal import Entry, Event, Journal
from snakemake_executor_plugin_frceapi.overview import NOT_LISTED, Row, Workplace, joined
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.unshared import UnsharedSpool
from tests.journals import intend
from tests.raw_server import RawServer, answer, say
from tests.run_directories import a_run_directory

LISTED = {
    "status": "call_success",
    "101": {"state": "RUNNING", "partition": "norm", "start": "2025-01-27T15:24:32", "end": "2025-02-01T15:24:32"},
    "99": {"state": "PENDING", "partition": "norm"},
    "102": {"state": "COMPLETED", "partition": "norm"},
    "reason": "query_success",
}
ANSWER = answer(json.dumps(LISTED).encode())


class Directory:
    """A working directory in which a run has submitted jobs."""

    def __init__(self, top: Path, kind: type[Spool] = Spool, name: str = "frceapi") -> None:
        self.persistence = top / ".snakemake"
        self.spool = kind(self.persistence / name)
        self.journal = Journal(self.spool.directory)
        self.logs = self.persistence / "frceapi_logs" / "rule_map"

    def submit(self, token: str, jobid: str | None, **wildcards: str) -> Path:
        """Submit a job; return its run directory."""
        directory = self.spool.job_directory(token)
        a_run_directory(self.spool, token).write()
        entry = Entry(
            token=token,
            rule="map",
            attempt=1,
            works=(),
            request=JobRequest(partition="norm"),
            log_directory=self.logs,
            wildcards=wildcards,
            posts=1,
        )
        intend(self.journal, entry)
        if jobid is not None:
            self.journal.note(Event.ACCEPTED, token, external_jobid=jobid)
            job_row(self.logs.parent / "jobs.tsv", "map", wildcards, self.logs).add(jobid)
        return directory


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directory:
    """An empty one, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    return Directory(tmp_path)


def row(job: str, state: str = "RUNNING", **facts: str) -> Row:
    """A row of a job."""
    return Row(job=job, state=state, **facts)  # type: ignore[arg-type]  # a test gives texts only


def test_knows_jobs_from_journal_and_run_directory(directory: Directory) -> None:
    """Rule and wildcards of each job are known, its node once it has begun, and the number of who claimed it."""
    started = directory.submit("a", "101", sample="x", unit="1")
    (started / "started").write_text("id=101 restart=0 node=n7 cluster=frce\n")
    (directory.submit("b", "102") / "claim").write_text("55\n")
    directory.submit("c", None)
    known = Workplace(directory.persistence).jobs()

    assert {jobid: (job.wildcards, job.node, job.log.name) for jobid, job in known.items()} == {
        "101": ("sample=x,unit=1", "n7", "101.log"),
        "102": ("", "", "102.log"),
        "55": ("", "", "55.log"),
    }
    assert known["102"].entry is None


def test_knows_jobs_that_are_over_from_the_table(directory: Directory) -> None:
    """Of a job whose run directory is gone the table in the log directory still tells."""
    directory.submit("a", "101", sample="x")
    directory.spool.remove_job("a")
    place = Workplace(directory.persistence)
    job = place.jobs()["101"]

    assert (job.rule, job.wildcards, job.entry) == ("map", "sample=x", None)
    assert place.is_over(job)
    assert Workplace(directory.persistence, directory.persistence / "elsewhere").jobs() == {}


def test_knows_jobs_of_a_run_that_shares_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a run directory the journal and the table tell; the log is on the cluster, and is not waited for."""
    monkeypatch.chdir(tmp_path)
    directory = Directory(tmp_path, UnsharedSpool, "frceapi-unshared")
    shutil.rmtree(directory.submit("a", "101", sample="x"))
    place = Workplace(directory.persistence)
    job = place.jobs()["101"]

    assert (job.rule, job.wildcards, place.is_over(job)) == ("map", "sample=x", False)
    result = CliRunner().invoke(main, ["log", "-f", "101"])
    assert (result.exit_code, "is on the cluster" in result.output) == (1, True)


def test_makes_nothing_in_a_directory_without_runs(tmp_path: Path) -> None:
    """To look at a directory leaves it as it is."""
    assert Workplace(tmp_path / ".snakemake").jobs() == {}
    assert list(tmp_path.iterdir()) == []


def test_sees_that_a_job_is_over(directory: Directory) -> None:
    """A job is over when it says so, linked or not."""
    run_directory = directory.submit("a", "101")
    place = Workplace(directory.persistence)
    job = place.jobs()["101"]
    assert not place.is_over(job)

    (run_directory / "end.101.0").write_text("id=101 restart=0 exit=0 cause=own start=1 end=2 cpu_ticks=1\n")
    assert place.is_over(job)


def test_joins_listing_and_directory(directory: Directory) -> None:
    """Ended jobs come first; jobs of elsewhere have no rule, and one that is not listed is shown as such."""
    directory.submit("a", "101", sample="x")
    directory.submit("b", "103")
    states = {"102": JobState.COMPLETED, "101": JobState.RUNNING, "99": JobState.PENDING}
    listing = Listing({jobid: JobStatus(jobid, state, state.value) for jobid, state in states.items()})
    rows = joined(listing, Workplace(directory.persistence).jobs(), directory.persistence.parent)

    assert [(item.job, item.state, item.rule, item.wildcards) for item in rows] == [
        ("102", "COMPLETED", "", ""),
        ("99", "PENDING", "", ""),
        ("101", "RUNNING", "map", "sample=x"),
        ("103", NOT_LISTED, "map", ""),
    ]
    assert rows[2].log == ".snakemake/frceapi_logs/rule_map/101.log"


WIDTHS = {
    "job": 8, "state": 9, "partition": 9, "start": 19, "end": 19, "node": 6, "rule": 10, "wildcards": 10, "log": 40
}  # fmt: skip


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (20, "job state rule wildcards"),
        (55, "job state rule wildcards partition"),
        (80, "job state partition start rule wildcards"),
        (123, "job state partition start rule wildcards log"),
        (160, "job state partition start end node rule wildcards log"),
    ],
)
def test_leaves_out_columns_that_have_no_room(width: int, expected: str) -> None:
    """The more a column is wanted, the less room is enough for it; the order stays."""
    assert sorted(fitting_columns(WIDTHS, width)) == sorted(expected.split())


@pytest.mark.parametrize(
    ("rows", "hidden", "expected"),
    [
        ([], 0, "0 jobs"),
        ([row("1")], 0, "1 job: 1 RUNNING"),
        ([row("1"), row("2"), row("3", "PENDING")], 2, "3 jobs: 2 RUNNING, 1 PENDING; 2 more above"),
    ],
)
def test_counts_states(rows: list[Row], hidden: int, expected: str) -> None:
    """One line tells how many jobs there are, whatever is shown of them."""
    assert summary(rows, hidden) == expected


def jobs(url: str, *arguments: str, **environment: str) -> Result:
    """Run ``frceapi jobs``."""
    result = CliRunner().invoke(main, ["jobs", *arguments], env={"SNAKEMAKE_FRCEAPI_URL": url, **environment})
    assert not isinstance(result.exception, Exception), result.output
    return result


def test_prints_every_column_where_there_is_no_terminal(directory: Directory) -> None:
    """A table in a file is for programs as well: nothing is cut."""
    directory.submit("a", "101", sample="x" * 200)
    with RawServer(say(ANSWER)) as server:
        lines = jobs(server.url()).output.splitlines()

    assert lines[0].split() == ["job", "state", "partition", "start", "end", "node", "rule", "wildcards", "log"]
    assert lines[3].split() == [
        *("101", "RUNNING", "norm", "2025-01-27T15:24:32", "2025-02-01T15:24:32", "-", "map"),
        *(f"sample={'x' * 200}", ".snakemake/frceapi_logs/rule_map/101.log"),
    ]
    assert lines[-1] == "3 jobs: 1 COMPLETED, 1 PENDING, 1 RUNNING"


@pytest.mark.usefixtures("directory")
def test_watches_until_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that does not answer for a while is told below what was seen last; the width is never exceeded."""
    looks = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    with RawServer(say(ANSWER, answer(b"", "503 No"))) as server:
        result = jobs(server.url(), "--watch", "--interval", "7", FORCE_COLOR="1", COLUMNS="80", LINES="5")

    assert (result.exit_code, looks) == (0, [7, 7])
    assert "1 more above" in result.output
    assert "not refreshed at" in result.output
    assert "102" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--watch"], "--watch needs a terminal; leave it out, or --json"),
        (["--watch", "--json"], "--watch needs a terminal"),
        ([], "cannot reach"),
    ],
)
def test_says_in_a_line_why_nothing_is_shown(arguments: list[str], words: str) -> None:
    """What is wrong is one line with the remedy."""
    result = jobs("http://127.0.0.1:9/", *arguments)

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert words in result.output
