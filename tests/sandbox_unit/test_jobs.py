"""Jobs of the sandbox, submitted over HTTP: how they run, what they see and how they end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from snakemake_executor_plugin_frceapi.sandbox import Partition

from .conftest import Client, Serve

PATIENCE_S = 60.0


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """True if a process runs and is not only a zombie that nobody has waited for."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def environment_of(client: Client, **keys: object) -> dict[str, str]:
    """The environment that a job with these keys sees."""
    job = client.submit("exec env", **keys)
    assert client.end(job) == "COMPLETED"
    return dict(line.split("=", 1) for line in client.output(job).splitlines())


def test_job_ids_start_above_slurms_largest(client: Client) -> None:
    """Ids cannot be taken for a cluster's and count upwards."""
    assert [client.submit().job_id for _ in range(3)] == [67_043_329, 67_043_330, 67_043_331]


@pytest.mark.parametrize(("script", "state", "exit_code"), [("exit 0", "COMPLETED", 0), ("exit 3", "FAILED", 3)])
def test_job_ends_as_its_script_does(client: Client, script: str, state: str, exit_code: int) -> None:
    """Exit code 0 is COMPLETED, any other FAILED."""
    job = client.submit(script)

    assert client.end(job) == state
    assert job.exit_code == exit_code
    assert client.rows()[str(job.job_id)]["state"] == state


def test_job_fails_without_its_interpreter(client: Client) -> None:
    """A shebang line that leads nowhere is a failed job with a word in its log, and frees its CPU."""
    jobs = [client.submit(script_body="#!/no/such/shell\n") for _ in range(3)]

    assert {client.end(job) for job in jobs} == {"FAILED"}
    assert "could not start" in client.output(jobs[0])
    assert client.end(client.submit()) == "COMPLETED"


def test_job_takes_option_of_shebang_line(client: Client) -> None:
    """The interpreter gets the one argument that the kernel would give it."""
    job = client.submit(script_body="#!/bin/bash -e\nfalse\ntrue\n")

    assert client.end(job) == "FAILED"


def test_job_runs_elsewhere(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is the sandbox's own, and there the output goes."""
    monkeypatch.chdir(tmp_path)
    job = client.submit("pwd; echo error >&2; read || echo no input")

    client.end(job)
    assert client.output(job) == f"{client.sandbox.directory}\nerror\nno input\n"
    assert (client.sandbox.directory / f"slurm-{job.job_id}.out").exists()
    assert list(tmp_path.iterdir()) == []


def test_job_sees_nothing_of_callers_environment(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the bare minimum and Slurm's variables are set; the secret is not among them."""
    monkeypatch.setenv("SNAKEMAKE_FRCEAPI_URL", client.sandbox.url)
    monkeypatch.setenv("OF_THE_CALLER", "1")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setenv("LANG", "C.UTF-8")

    seen = environment_of(client)

    rest = {name for name in seen if not name.startswith("SLURM")} - {"_", "PWD", "SHLVL", "OLDPWD"}
    assert rest == {"ENVIRONMENT", "HOME", "LOGNAME", "PATH", "SHELL", "USER"}
    assert seen["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert client.sandbox.url.split("/")[3] not in str(seen)


def test_job_sees_what_was_asked_for(client: Client) -> None:
    """Slurm's variables repeat the request."""
    first = client.submit("exit 0")
    seen = environment_of(
        client,
        ntasks=4,
        ntasks_per_node=2,
        ntasks_per_core=1,
        cpus_per_task=3,
        mem_per_node=None,
        mem_per_cpu="10M",
        dependency=f"afterok:{first.job_id}",
        timelimit="00-01:00:00",
    )

    expected = {
        "SLURM_CLUSTER_NAME": "sandbox",
        "SLURM_JOB_ID": str(first.job_id + 1),
        "SLURM_JOBID": str(first.job_id + 1),
        "SLURM_JOB_PARTITION": "norm",
        "SLURM_NTASKS": "4",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NTASKS_PER_CORE": "1",
        "SLURM_CPUS_PER_TASK": "3",
        "SLURM_CPUS_ON_NODE": "6",
        "SLURM_JOB_CPUS_PER_NODE": "6(x2)",
        "SLURM_MEM_PER_CPU": "10",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_DEPENDENCY": f"afterok:{first.job_id}",
        "SLURM_SUBMIT_DIR": str(client.sandbox.directory),
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert int(seen["SLURM_JOB_END_TIME"]) - int(seen["SLURM_JOB_START_TIME"]) == 3600
    assert "SLURM_MEM_PER_NODE" not in seen
    assert "SLURM_RESTART_COUNT" not in seen


def test_job_does_not_see_what_was_not_asked_for(client: Client) -> None:
    """Variables of what was not asked for are unset; the default memory shows per CPU."""
    seen = environment_of(client, mem_per_node=None)

    unset = {"SLURM_CPUS_PER_TASK", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_MEM_PER_NODE"}
    assert unset.isdisjoint(seen)
    assert (seen["SLURM_CPUS_ON_NODE"], seen["SLURM_MEM_PER_CPU"]) == ("1", "20000")


def test_job_with_all_memory_has_no_limit(client: Client) -> None:
    """Memory 0 means all of it: no variable, no limit, and the whole node's memory taken."""
    seen = environment_of(client, mem_per_node=0)

    assert not {"SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU"} & set(seen)


def test_job_directives_are_stripped(client: Client) -> None:
    """The script that runs has no #SBATCH lines."""
    job = client.submit('#SBATCH --mem=1\ncat "$0"')

    client.end(job)
    assert client.output(job) == '#!/bin/bash\ncat "$0"\n'


def test_submit_filter_moves_job(client: Client) -> None:
    """A short time limit puts the job into partition short, which the listing shows."""
    job = client.submit(timelimit="00-00:30:00")

    assert client.rows()[str(job.job_id)]["partition"] == "short"


def test_jobs_share_the_node(client: Client) -> None:
    """Jobs never hold more CPUs than there are, and a later one that fits goes first."""
    gate = client.sandbox.directory / "gate"
    wait = f"until [ -e {gate} ]; do sleep 0.02; done"
    first = client.submit(wait)
    wide = client.submit("exit 0", cpus_per_task=2)
    narrow = client.submit("exit 0")

    assert client.end(narrow) == "COMPLETED"
    assert (first.state, wide.state, wide.pending_reason) == ("RUNNING", "PENDING", "Priority")
    gate.touch()
    assert client.end(wide) == "COMPLETED"


def test_jobs_share_the_memory(client: Client) -> None:
    """A job waits for memory although a CPU is free."""
    gate = client.sandbox.directory / "gate"
    first = client.submit(f"until [ -e {gate} ]; do sleep 0.02; done", mem_per_node=600)
    second = client.submit("exit 0", mem_per_node=600)
    client.sandbox.wait(first.job_id, "RUNNING")

    assert client.end(client.submit("exit 0", mem_per_node=300)) == "COMPLETED"
    assert second.state == "PENDING"
    gate.touch()
    assert client.end(second) == "COMPLETED"


def test_jobs_share_the_partitions_cap(serve: Serve) -> None:
    """All jobs of a partition together stay within its CPUs."""
    client = serve(cpus=4, partitions=(Partition(name="norm", max_cpus=2),))
    gate = client.sandbox.directory / "gate"
    first = client.submit(f"until [ -e {gate} ]; do sleep 0.02; done", cpus_per_task=2)
    second = client.submit("exit 0", cpus_per_task=2)
    client.sandbox.wait(first.job_id, "RUNNING")

    assert client.end(client.submit("exit 0", partition="gpu")) == "COMPLETED"
    assert second.state == "PENDING"
    gate.touch()
    assert client.end(second) == "COMPLETED"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("cpus_per_task", 601, "QOSMaxCpuPerUserLimit"), ("partition", "own", "PartitionTimeLimit")],
)
def test_job_over_a_cap_pends_for_ever(serve: Serve, key: str, value: object, reason: str) -> None:
    """It is accepted, listed as PENDING, and never in the way of others."""
    client = serve(partitions=(Partition(name="own", max_time_s=60),))
    job = client.submit("exit 0", **{key: value})

    assert client.end(client.submit()) == "COMPLETED"
    assert (client.rows()[str(job.job_id)]["state"], job.pending_reason) == ("PENDING", reason)


def test_oversized_job_runs_alone(client: Client) -> None:
    """What asks for more than the whole node gets the node."""
    assert client.end(client.submit("exit 0", cpus_per_task=16, mem_per_node="64G")) == "COMPLETED"


def test_oversized_job_pends_where_told_so(serve: Serve) -> None:
    """With oversized="pend" it never starts."""
    client = serve(oversized="pend")
    job = client.submit("exit 0", cpus_per_task=3)

    assert client.end(client.submit()) == "COMPLETED"
    assert (job.state, job.pending_reason) == ("PENDING", "Resources")


def test_time_limit_ends_job_gently(client: Client) -> None:
    """SIGTERM first: a job that heeds it can write its last word; its state is TIMEOUT whatever its exit code."""
    job = client.submit("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done", timelimit="00-00:00:03")

    assert client.end(job) == "TIMEOUT"
    assert (client.output(job), job.exit_code) == ("bye\n", 0)


def test_time_limit_kills_deaf_job(serve: Serve) -> None:
    """SIGKILL follows when SIGTERM is ignored; in between the job is listed as TIMEOUT and lives."""
    client = serve(kill_wait=0.5)
    job = client.submit("trap '' TERM; while :; do sleep 0.05; done", timelimit="00-00:00:03")

    client.sandbox.wait(job.job_id, "TIMEOUT")
    assert client.end(job) == "TIMEOUT"
    assert job.exit_code == -9


def test_job_without_time_limit_has_no_end(client: Client) -> None:
    """A running job in a partition without limits has no known end."""
    job = client.submit("sleep 1000", partition="unlimited")
    client.sandbox.wait(job.job_id, "RUNNING")

    assert client.rows()[str(job.job_id)]["end"] == "Unknown"


def test_memory_over_limit_kills_job(client: Client) -> None:
    """The memory of all its processes counts."""
    hog = "/usr/bin/env python3 -c 'x = bytearray(80 * 2**20); import time; time.sleep(1000)'"
    job = client.submit(f"{hog} & {hog} & wait", mem_per_node=120)

    assert client.end(job) == "OUT_OF_MEMORY"
    assert job.exit_code == -9


def test_end_takes_the_rest_of_the_job_along(client: Client) -> None:
    """What the batch script leaves behind in its session, in process groups of its own too, is killed."""
    job = client.submit("set -m; sleep 1000 & echo $!; nohup sleep 1000 >/dev/null & echo $!; exit 0")

    assert client.end(job) == "COMPLETED"
    pids = [int(line) for line in client.output(job).split() if line.isdigit()]
    assert len(pids) == 2
    until(lambda: not any(map(lives, pids)))


def test_cancel_ends_running_job(client: Client) -> None:
    """The whole group gets SIGTERM; a second cancel changes nothing."""
    job = client.submit("sleep 1000 & echo $!; wait")
    until(lambda: client.output(job))

    client.sandbox.cancel(job.job_id)
    client.sandbox.cancel(str(job.job_id))

    assert client.end(job) == "CANCELLED"
    until(lambda: not lives(int(client.output(job))))


def test_cancel_takes_queued_job_out(client: Client) -> None:
    """A job that has not started never does."""
    client.sandbox.hold()
    job = client.submit("echo ran")

    client.sandbox.cancel(job.job_id)
    client.sandbox.release()

    assert client.end(client.submit()) == "COMPLETED"
    assert (job.state, client.output(job)) == ("CANCELLED", "")
    assert client.rows()[str(job.job_id)]["start"] == "Unknown"


def test_cancel_leaves_ended_job_alone(client: Client) -> None:
    """What is over stays as it is."""
    job = client.submit()
    client.end(job)

    client.sandbox.cancel(job.job_id)

    assert job.state == "COMPLETED"


def test_hold_keeps_jobs_pending(client: Client) -> None:
    """Nothing starts between hold and release."""
    client.sandbox.hold()
    job = client.submit()

    with pytest.raises(TimeoutError, match="PENDING"):
        client.sandbox.wait(job.job_id, timeout=0.2)
    client.sandbox.release()
    assert client.end(job) == "COMPLETED"


SURVIVOR = (
    "trap 'echo term; until [ -e gate ]; do sleep 0.02; done; exit 143' TERM; echo run ${SLURM_RESTART_COUNT:-none}; "
)


@pytest.mark.parametrize(("order", "between"), [("requeue", "REQUEUED"), ("preempt", "PREEMPTED")])
def test_requeue_runs_same_id_again(client: Client, order: str, between: str) -> None:
    """SIGTERM, a state in between, and the same script again with the next restart count."""
    job = client.submit(SURVIVOR + '[ -n "$SLURM_RESTART_COUNT" ] || while :; do sleep 0.05; done')
    until(lambda: client.output(job))

    getattr(client.sandbox, order)(job.job_id)
    seen = client.rows()[str(job.job_id)]["state"]
    (client.sandbox.directory / "gate").touch()

    assert client.end(job) == "COMPLETED"
    assert seen == between
    assert client.output(job) == "run none\nterm\nrun 1\n"
    assert job.restarts == 1


def test_requeue_waits_for_the_last_process(serve: Serve) -> None:
    """A job that ignores SIGTERM is killed before it starts again, so that two runs never overlap."""
    client = serve(kill_wait=0.5)
    lock = client.sandbox.directory / "lock"
    job = client.submit(
        f"exec 9>{lock}; flock -n 9 || {{ echo overlap; exit 1; }}\n"
        "echo run; [ -n \"$SLURM_RESTART_COUNT\" ] && exit 0\ntrap '' TERM; while :; do sleep 0.05; done"
    )
    until(lambda: client.output(job))

    client.sandbox.requeue(job.job_id)

    assert client.end(job) == "COMPLETED"
    assert client.output(job) == "run\nrun\n"


def test_requeue_brings_ended_job_back(client: Client) -> None:
    """An ended job runs again; one that is still pending does not change."""
    job = client.submit("echo run")
    client.end(job)

    client.sandbox.hold()
    client.sandbox.requeue(job.job_id)
    client.sandbox.requeue(job.job_id)
    assert job.state == "PENDING"
    client.sandbox.release()

    assert client.end(job) == "COMPLETED"
    assert client.output(job) == "run\nrun\n"


def test_cancel_beats_requeue(client: Client) -> None:
    """A job that is cancelled on its way to another run does not get it."""
    job = client.submit(SURVIVOR + "while :; do sleep 0.05; done")
    until(lambda: client.output(job))

    client.sandbox.requeue(job.job_id)
    client.sandbox.cancel(job.job_id)
    (client.sandbox.directory / "gate").touch()

    assert client.end(job) == "CANCELLED"
    assert client.output(job) == "run none\nterm\n"


@pytest.mark.parametrize(("requeue", "state"), [(False, "NODE_FAIL"), (True, "COMPLETED")])
def test_fail_node_kills_without_warning(client: Client, requeue: bool, state: str) -> None:  # noqa: FBT001 -- a row
    """No SIGTERM reaches the job; it comes back if it is requeued."""
    job = client.submit(SURVIVOR + '[ -n "$SLURM_RESTART_COUNT" ] || while :; do sleep 0.05; done')
    until(lambda: client.output(job))

    client.sandbox.fail_node(job.job_id, requeue=requeue)

    assert client.end(job) == state
    assert "term" not in client.output(job)


def test_set_state_changes_listing_only(client: Client) -> None:
    """Any word can be listed, until it is taken back."""
    job = client.submit()
    client.end(job)

    client.sandbox.set_state(job.job_id, "CANCELLED by 0")
    assert client.rows()[str(job.job_id)]["state"] == "CANCELLED by 0"
    client.sandbox.set_state(job.job_id, None)
    assert client.rows()[str(job.job_id)]["state"] == "COMPLETED"
    assert job.state == "COMPLETED"


def test_stop_ends_every_process(serve: Serve) -> None:
    """Deaf jobs and what left its session end with the sandbox; nothing is left of its files."""
    client = serve(cpus=4)
    deaf = client.submit("trap '' TERM; echo $$; while :; do sleep 0.05; done")
    daemon = client.submit("trap '' TERM; setsid -f sh -c 'echo $$; exec sleep 1000'; while :; do sleep 0.05; done")
    queued = client.submit("exit 0", dependency=f"afterok:{deaf.job_id}")
    until(lambda: client.output(deaf) and client.output(daemon))
    pids = [int(client.output(job)) for job in (deaf, daemon)]
    directory = client.sandbox.directory

    client.sandbox.stop()
    client.sandbox.stop()

    until(lambda: not any(map(lives, pids)))
    assert {deaf.state, daemon.state, queued.state} == {"CANCELLED"}
    assert not directory.exists()


def test_directory_of_users_own_is_kept(serve: Serve, tmp_path: Path) -> None:
    """With a directory given, the jobs' output outlives the sandbox."""
    client = serve(directory=tmp_path)
    job = client.submit("echo kept")
    client.end(job)

    client.sandbox.stop()

    assert job.output.read_text(encoding="utf-8") == "kept\n"
    assert os.path.commonpath([job.output, tmp_path]) == str(tmp_path)


def test_output_of_job_that_has_not_started_is_empty(client: Client) -> None:
    """There is nothing to read before the start."""
    client.sandbox.hold()

    assert client.output(client.submit("echo x")) == ""
