"""Tests of the way from a job that is ready to a submission."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.job import JobRequest, Work
from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.lookahead import NotAhead
from snakemake_executor_plugin_frceapi.partitions.table import Partition, PartitionTable
from snakemake_executor_plugin_frceapi.preparation import Preparation, ReadyJob
from snakemake_executor_plugin_frceapi.resources import RequestDefaults
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.wire import Encoding

JOB = ReadyJob(
    name="map",
    is_group=False,
    works=(Work("map", ("A1.bam",), "5eed"),),
    wildcards={"sample": "A1", "unit": "2"},
    attempt=3,
    resources={"mem_mb": 2000, "runtime": 90, "slurm_account": "lab"},
    threads=4,
    jobname="snakejob.map.7.sh",
    command="echo hello",
    jobscript="#!/bin/bash\necho hello\n",
)
SHARED = RunSettings(
    directory=Path(),
    done=Path(),
    log_directory=Path(),
    workdir=Path("/work dir"),
    command=(),
    environment=Path("/env"),
    setup="module load R",
    scratch=Path("/lscratch"),
    umask=0o027,
)


HEARTBEAT = Path("/spool/heartbeat-run")


class World:
    """A run directory and what prepares jobs for it."""

    def __init__(self, top: Path, defaults: RequestDefaults | None = None) -> None:
        self.spool = Spool(top / "spool")
        self.held: list[set[str]] = []
        defaults = defaults or RequestDefaults("norm", 4000, None)
        self.preparation = Preparation(self.spool, defaults, Encoding(), top / "logs", SHARED, self.hold, HEARTBEAT)

    def hold(self, external_jobids: Collection[str], _: Mapping[str, str]) -> tuple[str, ...]:
        """Stand for `Run.hold`, in a run that has the jobs 7 and 8."""
        self.held.append(set(external_jobids))
        return tuple(f"t{jobid}" for jobid in sorted(external_jobids) if jobid in {"7", "8"})

    def settings(self, token: str) -> list[str]:
        """The lines that tell the run script what it must know of a job."""
        return (self.spool.job_directory(token) / "control").read_text().splitlines()[1:]


def written(submission: Submission) -> None:
    """Write the run directory of a submission, as its delivery does."""
    assert submission.run_directory
    submission.run_directory.write()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A run directory without jobs."""
    return World(tmp_path)


def test_asks_for_what_the_job_wants(world: World, tmp_path: Path) -> None:
    """The submission carries the job request, the log's place and Snakemake's own record."""
    submission, notices = world.preparation.prepare(JOB, "info")

    assert submission.request == JobRequest(
        partition="norm", cpus_per_task=4, ntasks=1, mem_mb_per_node=2000, time_limit_minutes=90
    )
    assert (submission.rule, submission.job_info) == ("map", "info")
    assert submission.log_directory == tmp_path / "logs" / "rule_map" / "A1_2"
    assert [notice.key for notice in notices] == ["slurm_account"]


def test_sends_the_launcher_and_the_request_only(world: World) -> None:
    """The body is the API's document, whose script is the launcher of this run directory."""
    submission, _ = world.preparation.prepare(JOB, None)

    assert json.loads(submission.body) == {
        "script-body": world.spool.launcher(submission.token),
        "partition": "norm",
        "ntasks": 1,
        "cpus-per-task": 4,
        "mem-per-node": 2000,
        "timelimit": "00-01:30:00",
    }


def test_sends_as_much_whatever_the_size_of_the_jobscript(world: World) -> None:
    """A jobscript and wildcards of any size do not make the request larger."""
    huge = replace(JOB, jobscript="#!/bin/sh\n" + "x" * 100_000, wildcards={"w": "y" * 10_000}, jobname="z" * 10_000)
    bodies = [world.preparation.prepare(job, None)[0].body for job in (JOB, huge)]

    assert len(bodies[0]) == len(bodies[1]) < 4000


def test_names_the_job_after_rule_and_wildcards(world: World) -> None:
    """The name at Slurm has safe characters only and is short."""
    names = []
    for job in (JOB, replace(JOB, wildcards={"w": "a b/$(c)" + "x" * 99})):
        submission, _ = world.preparation.prepare(job, None)
        written(submission)
        names += [line for line in world.settings(submission.token) if line.startswith("frceapi_name=")]

    assert names == ["frceapi_name=map.A1.2", "frceapi_name=map.a_b___c_" + "x" * 52]


def test_registers_the_job_in_the_table(world: World, tmp_path: Path) -> None:
    """A job that the API has taken stands in the table of the log directory."""
    submission, _ = world.preparation.prepare(JOB, None)
    assert submission.row
    submission.row.add("101")

    (row,) = (tmp_path / "logs" / "jobs.tsv").read_text().splitlines()[1:]
    log = tmp_path / "logs" / "rule_map" / "A1_2" / "101.log"
    assert row.split("\t") == ["101", "map", "sample=A1,unit=2", str(log)]


def test_writes_nothing_before_it_is_sent(world: World) -> None:
    """Preparing a job leaves no trace; the run directory is written when the submission is sent."""
    submission, _ = world.preparation.prepare(JOB, None)
    assert not world.spool.has_jobs()

    written(submission)
    directory = world.spool.job_directory(submission.token)
    assert {path.name for path in directory.iterdir()} == {"control", "job-snakejob.map.7.sh"}
    assert (directory / "job-snakejob.map.7.sh").read_text() == JOB.jobscript


def test_joins_the_settings_of_the_run_and_of_the_job(world: World, tmp_path: Path) -> None:
    """The run script has what all jobs share, and directories and a command of its own."""
    submission, _ = world.preparation.prepare(JOB, None)
    written(submission)
    directory = world.spool.job_directory(submission.token)
    values = {
        "directory": directory,
        "done": world.spool.done_entry(submission.token),
        "log_directory": tmp_path / "logs" / "rule_map" / "A1_2",
        "workdir": SHARED.workdir,
        "environment": SHARED.environment,
        "setup": SHARED.setup,
        "scratch": SHARED.scratch,
        "umask": "0027",
    }
    lines = world.settings(submission.token)

    assert {f"frceapi_{name}={shlex.quote(str(value))}" for name, value in values.items()} <= set(lines)
    assert f"frceapi_command=(/bin/bash {directory}/job-snakejob.map.7.sh)" in lines


def test_records_the_job(world: World, tmp_path: Path) -> None:
    """The journal is told which job of the workflow the token stands for."""
    submission, _ = world.preparation.prepare(JOB, None)
    entry = submission.entry()

    assert (entry.token, entry.rule, entry.attempt) == (submission.token, "map", 3)
    assert entry.wildcards == {"sample": "A1", "unit": "2"}
    assert entry.log_directory == tmp_path / "logs" / "rule_map" / "A1_2"
    assert entry.request.partition == "norm"
    assert world.preparation.resume(entry).wildcards == entry.wildcards


@pytest.mark.parametrize(
    ("jobname", "file_name"),
    [
        ("a/b c$(d)'e\n.sh", "job-a_b_c__d__e_.sh"),
        ("../../x", "job-.._.._x"),
        ("Größe", "job-Gr__e"),
        ("", "job-"),
        ("x" * 300 + ".sh", "job-" + "x" * 197 + ".sh"),
    ],
)
def test_gives_the_jobscript_a_safe_name(jobname: str, file_name: str, world: World) -> None:
    """Whatever --jobname makes of a job is a file in its run directory, of bounded length."""
    submission, _ = world.preparation.prepare(replace(JOB, jobname=jobname), None)
    written(submission)

    assert (world.spool.job_directory(submission.token) / file_name).read_text() == JOB.jobscript


def test_places_the_log_of_a_group_job(world: World, tmp_path: Path) -> None:
    """A group job has a directory of its own and no wildcards."""
    submission, _ = world.preparation.prepare(replace(JOB, name="g1", is_group=True, wildcards={}), None)

    assert submission.log_directory == tmp_path / "logs" / "group_g1"


def test_gives_each_submission_a_directory_of_its_own(world: World) -> None:
    """Two attempts of one job never share a run directory."""
    tokens = {world.preparation.prepare(JOB, None)[0].token for _ in range(20)}

    assert len(tokens) == 20


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (replace(JOB, resources={"gpu": 1}), "gpu"),
        (replace(JOB, resources={"slurm_partition": "a b"}), "a b"),
        (replace(JOB, resources={"runtime": 200_000}), "time limit"),
        (replace(JOB, jobscript="#!\necho"), "--jobscript"),
    ],
)
def test_refuses_what_cannot_be_asked_for(job: ReadyJob, words: str, world: World) -> None:
    """A job that cannot be expressed is an error of that job, and leaves nothing."""
    with pytest.raises(JobError, match=words):
        world.preparation.prepare(job, None)
    assert not world.spool.has_jobs()


def test_looks_into_the_jobs_of_this_run_that_must_have_succeeded(world: World) -> None:
    """The run script knows the run directories of those jobs, and their tokens are kept; others are Slurm's affair."""
    job = replace(JOB, resources={**JOB.resources, "dependency": "afterok:7:9,afterany:8"})
    submission, _ = world.preparation.prepare(job, None)
    written(submission)

    assert world.held == [{"7", "9"}]
    assert submission.upstream == ("t7",)
    assert f"frceapi_upstream=({world.spool.job_directory('t7')})" in world.settings(submission.token)


def test_looks_into_no_job_without_a_dependency(world: World) -> None:
    """A job without a dependency, and one for which any of several is enough, begins at once."""
    any_of = replace(JOB, resources={**JOB.resources, "dependency": "afterok:7?afterok:8"})

    assert world.preparation.prepare(JOB, None)[0].upstream == ()
    assert world.preparation.prepare(any_of, None)[0].upstream == ()


@pytest.mark.parametrize(("longest", "fits"), [(100, True), (99, False)])
def test_counts_the_wait_at_the_gate(tmp_path: Path, longest: int, *, fits: bool) -> None:
    """A job that goes ahead has ten minutes more, which its partition must allow as well."""
    table = PartitionTable("table.yaml", (Partition(name="day", caps={"max_runtime": longest}),))
    world = World(tmp_path, RequestDefaults(None, 4000, None, table))
    upstream, _ = world.preparation.prepare(JOB, None)
    upstream.external_jobid = "7"

    assert upstream.request.partition == "day"
    with nullcontext() if fits else pytest.raises(NotAhead, match="no time for a wait at the gate"):
        ahead, _ = world.preparation.prepare(JOB, None, [upstream], gated=True)
        assert ahead.request == replace(upstream.request, dependency="afterok:7", time_limit_minutes=100)


def test_resumes_what_an_earlier_run_has_submitted(world: World) -> None:
    """A submission comes out of the journal as it went in, and nothing of it is written again."""
    fresh, _ = world.preparation.prepare(JOB, "info")
    fresh.posts, fresh.external_jobid = 2, "17"
    resumed = world.preparation.resume(fresh.entry(), "other")

    assert resumed.entry() == fresh.entry()
    assert (resumed.body, resumed.job_info) == (fresh.body, "other")
    assert resumed.run_directory is None
    assert resumed.inherited
