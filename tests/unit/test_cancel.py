"""Tests of the three ways to cancel jobs, with programs of Slurm's that write down how they were called."""

from __future__ import annotations

import getpass
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi import cancel
from snakemake_executor_plugin_frceapi.cancel import LARGEST_SLURM_JOBID, Canceller, helper_script, own_jobids
from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import (
    Accepted,
    JobRequest,
    JobState,
    JobStatus,
    Listing,
    Refused,
    SubmitOutcome,
)
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from tests.run_directories import a_run_directory, order_in
from tests.submissions import a_submission
from tests.waiting import PATIENCE_SECONDS, wait_until

USER = getpass.getuser()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no program, and no thread that submits jobs, be given up because the machine is busy."""
    monkeypatch.setattr(cancel, "_COMMAND_SECONDS", PATIENCE_SECONDS)


@dataclass
class World:
    """A submitting machine, its run directory, and a service.

    Attributes:
        states: what the service lists.
        helpers: partition and script of each job that was submitted.
        refused: partitions that the service does not take.
        fault: why the service does not answer, or None.
        hangs: holds back the service's answers to submissions while it is not set.
    """

    spool: Spool
    top: Path
    states: dict[str, JobState] = field(default_factory=dict)
    helpers: list[tuple[JobRequest, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    fault: TransientFault | None = None
    hangs: threading.Event = field(default_factory=threading.Event)

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Take a job, unless its partition is refused."""
        assert self.hangs.wait(PATIENCE_SECONDS)
        partition = self.helpers[int(body)][0].partition
        return Refused("bad_partition", "no") if partition in self.refused else Accepted("999")

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:
        """List the states that a test set."""
        assert wanted is not None
        assert "" not in wanted
        if self.fault is not None:
            raise self.fault
        return Listing({jobid: JobStatus(jobid, state, state.value) for jobid, state in self.states.items()})

    def encode(self, request: JobRequest, script: str) -> bytes:
        """Note a job and give it a number."""
        self.helpers.append((request, script))
        return str(len(self.helpers) - 1).encode()

    def cancel(self, *items: Submission, seconds: float = 0.0) -> list[str]:
        """Cancel jobs and return which are still alive."""
        alive = Canceller(self, self.spool, self.encode, seconds).cancel(items)
        return [item.external_jobid or item.token for item in alive]

    def job(self, jobid: str | None, partition: str = "norm", cluster: str | None = None) -> Submission:
        """A job, which has recorded its cluster if that is given."""
        token = f"t{len(list(self.spool.job_directory('x').parent.iterdir()))}"
        directory = self.spool.job_directory(token)
        a_run_directory(self.spool, token).write()
        if cluster is not None:
            (directory / "started").write_text(f"id={jobid} restart=0 node=n cluster={cluster}\n")
        return a_submission(
            token,
            request=JobRequest(partition=partition),
            log_directory=self.top,
            external_jobid=jobid,
        )

    def order(self, item: Submission) -> str:
        """What stands in a job's order."""
        return order_in(self.spool.job_directory(item.token) / "control")

    def ends(self, item: Submission) -> None:
        """Write the entry of a job's end."""
        text = f"id={item.external_jobid} restart=0 exit=143 cause=cancelled start=1 end=2 cpu_ticks=1\n"
        self.spool.done_entry(item.token).write_text(text)

    def program(self, name: str, text: str) -> None:
        """Put a program of Slurm's on the search path, which notes its arguments."""
        path = self.top / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.top}/calls\n{text}\n')
        path.chmod(0o755)

    def slurm(self, cluster: str, *rows: str) -> None:
        """Make this machine one that speaks to a cluster which lists these rows."""
        self.program("scontrol", f"echo 'Configuration data'; echo 'ClusterName             = {cluster}'; echo 'X = y'")
        self.program("squeue", "/bin/cat <<'END'\n" + "\n".join(rows) + "\nEND")
        self.program("scancel", "")

    def calls(self, name: str) -> list[str]:
        """How a program was called."""
        calls = self.top / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.removeprefix(name + " ") for line in lines if line.startswith(name + " ")]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A machine without Slurm, whatever the one that runs the test has, and a service that answers at once."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setattr(cancel, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(cancel, "_COMMAND_SECONDS", PATIENCE_SECONDS)
    threads = set(threading.enumerate())
    world = World(Spool(tmp_path / "spool"), tmp_path)
    world.hangs.set()
    yield world
    world.hangs.set()
    wait_until(lambda: set(threading.enumerate()) <= threads)


def test_orders_each_job_to_end(world: World) -> None:
    """Every job gets the order, also one of which nobody knows whether it was submitted."""
    items = [world.job("101"), world.job(None), world.job(str(LARGEST_SLURM_JOBID + 1))]
    world.cancel(*items)

    assert [world.order(item) for item in items] == ["cancel"] * 3


def test_returns_what_may_still_be_alive(world: World) -> None:
    """What has not ended when the time is up is returned, numbered or not."""
    items = [world.job(jobid) for jobid in ("1000", "99", None)]

    assert world.cancel(*items) == ["1000", "99", items[2].token]


@pytest.mark.parametrize("how", ["marker", "listing", "both"])
def test_waits_until_all_have_ended(how: str, world: World) -> None:
    """A job has ended when its end or a final state is seen; then its run directory goes."""
    item = world.job("101")
    if how != "marker":
        world.states["101"] = JobState.CANCELLED
    if how != "listing":
        world.ends(item)

    assert world.cancel(item, seconds=PATIENCE_SECONDS) == []
    assert not world.spool.has_jobs()
    assert not world.spool.done_entry(item.token).exists()


def test_waits_for_ends_that_come_later(world: World) -> None:
    """Jobs are watched until they end, and each needs its own end."""
    early, late = world.job("101"), world.job("102")
    world.states = {"101": JobState.RUNNING, "102": JobState.RUNNING}
    world.ends(early)
    timer = threading.Timer(0.2, world.ends, [late])
    timer.start()
    alive = world.cancel(early, late, seconds=PATIENCE_SECONDS)
    timer.join()

    assert alive == []


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.PENDING, JobState.UNKNOWN, None])
def test_takes_no_live_job_for_ended(state: JobState | None, world: World) -> None:
    """A job that is listed as live, or not listed at all, may still be alive."""
    item = world.job("101")
    if state is not None:
        world.states["101"] = state

    assert world.cancel(item, seconds=0.1) == ["101"]
    assert world.spool.has_jobs()


def test_cancels_without_a_service(world: World) -> None:
    """A service that cannot be asked is no reason to miss an end, or to hang."""
    world.fault = TransientFault("no answer")
    ended, alive = world.job("101"), world.job("102")
    world.ends(ended)

    assert world.cancel(ended, alive, seconds=0.1) == ["102"]


def test_waits_for_no_service_that_hangs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submission that gets no answer does not keep the user."""
    monkeypatch.setattr(cancel, "_COMMAND_SECONDS", 0.1)
    world.hangs.clear()

    assert world.cancel(world.job("101")) == ["101"]


def test_ends_its_threads_at_a_second_ctrl_c(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the user has waited long enough nobody is asked any more."""

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        world.cancel(world.job("101"), seconds=PATIENCE_SECONDS)
    monkeypatch.undo()

    wait_until(lambda: set(threading.enumerate()) <= before)


def test_does_nothing_without_jobs(world: World) -> None:
    """Without jobs nothing is called and nothing submitted."""
    world.slurm("frce")

    assert world.cancel() == []
    assert (world.calls("scancel"), world.helpers) == ([], [])


def test_cancels_the_job_that_holds_the_claim(world: World) -> None:
    """Where a claim names another number, or any at all, that job is cancelled and waited for."""
    twin, unknown = world.job("101"), world.job(None)
    for item, owner in ((twin, "55"), (unknown, "56")):
        (world.spool.job_directory(item.token) / "claim").write_text(f"{owner}\n")
    world.states = {"101": JobState.FAILED, "55": JobState.RUNNING}

    assert world.cancel(twin, unknown, seconds=0.1) == ["55", "56"]
    assert [script for _, script in world.helpers] == [helper_script(["55", "56"])]


def test_submits_a_job_that_cancels(world: World) -> None:
    """Where this machine has no Slurm, a small job of one minute in the short partition runs scancel."""
    world.cancel(world.job("101"), world.job("102", "gpu"), world.job(None))
    request = JobRequest(partition="short", ntasks=1, cpus_per_task=1, mem_mb_per_node=100, time_limit_minutes=1)

    assert world.helpers == [(request, "#!/bin/bash\nexec >/dev/null 2>&1\nscancel 101 102\n")]


def test_tries_the_jobs_own_partitions_where_there_is_no_short_one(world: World) -> None:
    """The job that cancels goes where the jobs themselves could go, once."""
    world.refused = {"short"}
    world.cancel(world.job("101", "gpu"), world.job("102", "norm"), world.job("103", "gpu"))

    assert [request.partition for request, _ in world.helpers] == ["short", "gpu"]


def test_ends_its_tries_when_no_partition_takes_it(world: World) -> None:
    """When no partition takes the job that cancels, the order in the run directory has to do."""
    world.refused = {"short", "gpu"}

    assert world.cancel(world.job("101", "gpu")) == ["101"]
    assert len(world.helpers) == 2


def test_cancels_many_jobs_in_several_requests(world: World) -> None:
    """The scripts stay far below what a request may hold, and name each job once."""
    ids = [str(67_000_000 + number) for number in range(700)]
    world.cancel(*map(world.job, ids))
    scripts = [script for _, script in world.helpers]

    assert [jobid for script in scripts for jobid in script.splitlines()[-1].split()[1:]] == ids
    assert max(map(len, scripts)) < 3500


def test_leaves_slurm_alone_where_only_a_sandbox_is_meant(world: World) -> None:
    """Numbers beyond Slurm's largest are a sandbox's: no program of Slurm's is called, and no job submitted."""
    jobid = str(LARGEST_SLURM_JOBID + 1)
    world.slurm("sandbox", f"{jobid}|{USER}|norm")
    world.cancel(world.job(jobid, cluster="sandbox"))

    assert not (world.top / "calls").exists()
    assert world.helpers == []


def test_runs_scancel_for_jobs_that_are_surely_meant(world: World) -> None:
    """Where cluster, number, user and partition agree, scancel runs here; the others are left to a job there."""
    world.slurm("frce", f"101|{USER}|norm", f"102|{USER}|gpu", "103|somebody|norm", "")
    world.cancel(*(world.job(jobid, cluster="frce") for jobid in ("101", "102", "103", "104")))

    assert world.calls("squeue") == [f"--noheader --user {USER} --format %i|%u|%P"]
    assert world.calls("scancel") == ["101"]
    assert [script for _, script in world.helpers] == [helper_script(["102", "103", "104"])]


@pytest.mark.parametrize(
    ("asked", "listed", "found"),
    [
        ("norm", "norm", True),
        ("norm", "unlimited", True),
        ("short", "norm", True),
        ("unlimited", "short", True),
        ("norm", "gpu", False),
        ("gpu", "gpu", True),
        ("gpu", "norm", False),
    ],
)
def test_knows_that_jobs_are_moved_between_partitions(
    asked: str,
    listed: str,
    found: bool,  # noqa: FBT001
    world: World,
) -> None:
    """FRCE moves jobs between its general partitions by their time limit; into others it moves none."""
    world.slurm("frce", f"101|{USER}|{listed}")

    assert own_jobids([world.job("101", asked)], {"frce"}) == ({"101"} if found else set())


@pytest.mark.parametrize(
    "clusters",
    [set(), {""}, {"other"}, {"frce", "other"}, {"frce", ""}],
    ids=["none recorded", "empty", "another", "two", "not all"],
)
def test_never_calls_scancel_for_another_cluster(clusters: set[str], world: World) -> None:
    """The same number on another cluster is another job: this must be the one cluster that the jobs recorded."""
    world.slurm("frce", f"101|{USER}|norm")

    assert own_jobids([world.job("101")], clusters) == set()
    assert world.calls("squeue") == []

    world.cancel(*(world.job("101", cluster=cluster) for cluster in clusters), world.job("101"))
    assert world.calls("scancel") == []
    assert world.helpers


@pytest.mark.parametrize("name", ["squeue", "scancel", "scontrol"])
def test_needs_all_programs(name: str, world: World) -> None:
    """A machine that lacks one of them is not asked."""
    world.slurm("frce", f"101|{USER}|norm")
    (world.top / "bin" / name).unlink()

    assert own_jobids([world.job("101")], {"frce"}) == set()
    assert not (world.top / "calls").exists()


def test_waits_for_no_program_that_hangs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scontrol that does not answer does not keep the user."""
    monkeypatch.setattr(cancel, "_COMMAND_SECONDS", 0.1)
    world.slurm("frce", f"101|{USER}|norm")
    world.program("scontrol", "exec /bin/sleep 60")

    assert own_jobids([world.job("101")], {"frce"}) == set()


@pytest.mark.parametrize("text", ["exit 1", "echo 'ClusterName = frce'; exit 1", "echo nothing"])
def test_trusts_no_program_that_fails(text: str, world: World) -> None:
    """A scontrol that fails or says something else does not tell which cluster this is."""
    world.slurm("frce", f"101|{USER}|norm")
    world.program("scontrol", text)

    assert own_jobids([world.job("101")], {"frce"}) == set()


def test_takes_no_name_for_no_name(world: World) -> None:
    """Where neither the jobs nor this machine know a cluster's name, they do not agree."""
    world.slurm("", f"101|{USER}|norm")

    assert own_jobids([world.job("101")], {""}) == set()


def test_trusts_no_program_that_cannot_be_run(world: World) -> None:
    """A program that is there but no program is as good as none."""
    world.slurm("frce", f"101|{USER}|norm")
    (world.top / "bin" / "scontrol").write_bytes(b"\x7fELF nonsense")

    assert own_jobids([world.job("101")], {"frce"}) == set()


def test_runs_scancel_for_many_jobs(world: World) -> None:
    """Many jobs are ended by several calls, each job by one."""
    ids = [str(number) for number in range(1000, 1700)]
    world.slurm("frce", *(f"{jobid}|{USER}|norm" for jobid in ids))
    world.cancel(*(world.job(jobid, cluster="frce") for jobid in ids))

    assert sorted(jobid for call in world.calls("scancel") for jobid in call.split()) == ids
    assert world.helpers == []
