"""Jobs that go ahead of their inputs: the same results, the same files, the same records, whatever happens."""

from __future__ import annotations

import signal
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.spool import Spool
from tests.final_state import lasting_records

if TYPE_CHECKING:
    from tests.snakemake_process import Result
    from tests.workflows.conftest import MakeWorkflow, Workflow

AHEAD = ("--frceapi-lookahead", "20", "--jobs", "20")

CHAINS = """
    rule all:
        input: expand("l3/{n}", n=range(3)), "gathered"
        localrule: True
    rule first:
        output: "l0/{n}"
        shell: "exit 99"
    rule next:
        input: lambda wildcards: f"l{int(wildcards.level) - 1}/{wildcards.n}"
        output: "l{level,[1-9]}/{n}"
        resources: disk_mb=lambda wildcards, input: max(1, input.size_mb)
        shell: "exit 99"
    rule gather:
        input: expand("l3/{n}", n=range(3))
        output: "gathered"
        shell: "exit 99"
"""
"""Three chains of four levels, gathered; one resource that is not sent follows from the input."""

CHECKS_INPUT = r"""
    name=${output#*/} level=${output#l} level=${level%%/*}
    case $output in
    l0/* | gathered) ;;
    *) test -s "l$((level - 1))/$name" || { echo "$output" >>too_early; exit 9; } ;;
    esac
    sleep 0.3
    [ ! -e "fail_$(echo $output | tr / _)" ] || exit 3
    ! mv "once_$(echo $output | tr / _)" once 2>/dev/null || exit 3
    mkdir -p "$(dirname "$output")"
    echo "$output" >"$output"
"""
"""What each quick job does: it looks for its input, and makes its output unless it is to fail."""


def begun(flow: Workflow) -> list[str]:
    """Return the outputs of all jobs that began, sorted."""
    return sorted(line.split()[1] for line in flow.lines("ledger") if line.startswith("begin"))


def state(flow: Workflow) -> dict[str, str]:
    """Return the files of a workflow with their content's hash."""
    names = [name for pattern in ("l*/*", "gathered") for name in flow.files(pattern)]
    return {name: sha256((flow.directory / name).read_bytes()).hexdigest() for name in names}


def make(workflow: MakeWorkflow, directory: str = "work") -> Workflow:
    """Return the chains with quick jobs that check their inputs."""
    flow = workflow(CHAINS, directory=directory)
    flow.use_quick_jobs(CHECKS_INPUT)
    return flow


def run_when_all_are_queued(flow: Workflow, jobs: int, *arguments: str) -> Result:
    """Run Snakemake with look-ahead to its end; no job starts before so many are in the queue."""
    flow.sandbox.hold()
    running = flow.start(*AHEAD, *arguments)
    flow.wait_for(lambda: len(flow.jobs) == jobs, "all jobs in the queue")
    flow.sandbox.release()
    return running.wait()


def test_all_that_can_go_ahead_does_and_nothing_differs(workflow: MakeWorkflow) -> None:
    """All jobs behind the first level go ahead, each runs once and after its inputs, and a second run has no work."""
    plain, ahead = make(workflow, "plain"), make(workflow, "ahead")
    plain.succeed("--jobs", "20")
    result = run_when_all_are_queued(ahead, 13)

    assert result.exit_code == 0, result.output
    assert "Look-ahead: 10 went ahead, 10 attached, 0 dropped. Gates held jobs for " in result.output
    assert begun(ahead) == begun(plain)
    assert state(ahead) == state(plain)
    assert not ahead.lines("too_early")
    assert sorted(job.submission.dependency is not None for job in ahead.jobs) == [False] * 3 + [True] * 10
    assert "Nothing to be done" in ahead.succeed("-n", *AHEAD).output
    assert ahead.left_in_run_directory() == []
    assert ahead.files(".snakemake/frceapi/*/*") == []


@pytest.mark.parametrize("options", [(), ("--keep-going",), ("--retries", "1")], ids=["stop", "keep-going", "retries"])
def test_a_failure_leaves_the_same_files(workflow: MakeWorkflow, options: tuple[str, ...]) -> None:
    """When a job in the middle fails, exit code, files and the plan of the next run are as without look-ahead."""
    plain, ahead = make(workflow, "plain"), make(workflow, "ahead")
    results = []
    for flow, more in ((plain, ("--jobs", "20")), (ahead, AHEAD)):
        flow.write("fail_l1_1", "")
        results.append(flow.run(*more, *options))

    assert [result.exit_code for result in results] == [1, 1]
    assert not ahead.lines("too_early")
    if "--keep-going" in options:
        assert state(ahead) == state(plain)
    assert {name for name in state(ahead) if name.endswith("/1")} == {"l0/1"}
    assert not {"PENDING", "RUNNING"} & set(ahead.final_states())
    (ahead.directory / "fail_l1_1").unlink()
    ahead.succeed(*AHEAD, "--rerun-incomplete")
    assert len(state(ahead)) == 13
    assert not ahead.lines("too_early")


def test_a_retry_keeps_all_outputs(workflow: MakeWorkflow) -> None:
    """What was dropped because of a failure is run anew after the retry, and nothing of it is cleaned away."""
    flow = make(workflow)
    flow.write("once_l1_1", "")
    result = run_when_all_are_queued(flow, 13, "--retries", "1")

    assert result.exit_code == 0, result.output
    assert "0 dropped" not in result.output
    assert len(state(flow)) == 13
    assert begun(flow).count("l1/1") == 2
    assert begun(flow).count("l2/1") == 1
    assert not flow.lines("too_early")
    assert "Nothing to be done" in flow.succeed("-n", *AHEAD).output


def test_ctrl_c_leaves_none_of_them(workflow: MakeWorkflow) -> None:
    """What went ahead is cancelled like all other jobs."""
    flow = make(workflow)
    flow.sandbox.hold()
    running = flow.start(*AHEAD)
    flow.wait_for(lambda: len(flow.jobs) == 13, "all jobs in the queue")
    flow.sandbox.release()
    running.interrupt()
    running.wait()

    flow.final_jobs()


def test_a_killed_run_is_taken_up(workflow: MakeWorkflow) -> None:
    """After kill -9 in the middle the next run ends well, and no payload ends twice."""
    flow = make(workflow)
    running = flow.start(*AHEAD)
    flow.wait_for(lambda: flow.files("l1/?"), "the second level")
    running.signal(signal.SIGKILL)
    running.wait()
    flow.succeed("--unlock")
    flow.succeed(*AHEAD, "--rerun-incomplete")

    ends = [line.split()[1] for line in flow.lines("ledger") if line.startswith("end")]
    assert len(state(flow)) == 13
    assert len(ends) == len(set(ends))
    assert not flow.lines("too_early")


def test_the_queue_holds_no_more_than_jobs_allows(workflow: MakeWorkflow) -> None:
    """With --jobs 4 there are never more than four jobs, those that went ahead among them."""
    flow = make(workflow)
    counts = flow.watch_queue()
    flow.succeed("--frceapi-lookahead", "20", "--jobs", "4")

    assert max(counts) <= 4
    assert len(state(flow)) == 13


def test_a_twin_that_others_wait_for_is_harmless(workflow: MakeWorkflow) -> None:
    """Slurm cancels what waits for a twin that ends at once; that is submitted anew, and each payload runs once.

    The first job has all CPUs, so that its twin comes after it.
    """
    flow = workflow("""
        rule all:
            input: "l1/0"
            localrule: True
        rule first:
            output: "l0/0"
            threads: 8
            shell: "exit 99"
        rule second:
            input: "l0/0"
            output: "l1/0"
            shell: "exit 99"
    """)
    flow.use_quick_jobs(CHECKS_INPUT)
    flow.sandbox.hold()
    flow.sandbox.faults.drop_after(call="submit_job", count=1)
    running = flow.start(*AHEAD, "--frceapi-unknown-grace", "1", "--frceapi-marker-grace", "3")
    flow.wait_for(lambda: len(flow.jobs) == 3, "a twin and what waits for it")
    flow.sandbox.release()
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert flow.jobs[2].submission.dependency == f"afterok:{flow.jobs[1].job_id}"
    assert flow.final_states()[:3] == ["COMPLETED", "FAILED", "CANCELLED"]
    assert begun(flow) == ["l0/0", "l1/0"]


def test_groups_go_ahead(workflow: MakeWorkflow) -> None:
    """A group goes ahead when all its members may, and what waits for the group does so, too."""
    flow = workflow("""
        rule all:
            input: "d"
            localrule: True
        rule a:
            output: "a/{n}"
            shell: "sleep 1; echo a > {output}"
        rule b:
            input: "a/{n}"
            output: temp("b/{n}")
            group: "both"
            resources: mem_mb=200, runtime=3
            shell: "cat {input} > {output}"
        rule c:
            input: "b/{n}", "a/{n}"
            output: "c/{n}"
            group: "both"
            resources: mem_mb=300, runtime=4
            shell: "cat {input} > {output}"
        rule d:
            input: "c/0", "c/1"
            output: "d"
            shell: "cat {input} > {output}"
    """)
    result = run_when_all_are_queued(flow, 5)

    assert result.exit_code == 0, result.output
    assert "Look-ahead: 3 went ahead, 3 attached, 0 dropped." in result.output
    assert (flow.directory / "d").read_text() == "a\n" * 4
    assert len(flow.jobs) == 5
    groups = [job.submission for job in flow.jobs if job.submission.dependency and job is not flow.jobs[-1]]
    assert [(group.mem_mb_per_node, group.time_limit_s) for group in groups] == [(300, (3 + 4 + 10) * 60)] * 2
    assert "Nothing to be done" in flow.succeed("-n", *AHEAD).output


def test_a_rule_can_opt_out(workflow: MakeWorkflow) -> None:
    """Jobs of a rule that says so go the normal way, and so does what waits for them."""
    flow = workflow("""
        rule all:
            input: "c.txt"
            localrule: True
        rule a:
            output: "a.txt"
            shell: "exit 99"
        rule b:
            input: "a.txt"
            output: "b.txt"
            resources: frceapi_lookahead=0
            shell: "exit 99"
        rule c:
            input: "b.txt"
            output: "c.txt"
            resources: mem_mb=lambda wildcards, input: 100 + input.size
            shell: "exit 99"
    """)
    flow.use_quick_jobs()
    result = flow.succeed(*AHEAD)

    assert "Look-ahead: 0 went ahead, 0 attached, 0 dropped; the normal way went" in result.output
    assert "1 because its rule says so" in result.output
    assert "1 because its resources follow from its input" in result.output


_WIDE = """
    rule all:
        input: "b", "x", "y", "last"
        localrule: True
    rule a:
        output: "a"
        shell: "exit 99"
    rule b:
        input: "a"
        output: "b"
        params: lines=lambda wildcards, input: len(open(input[0]).readlines())
        shell: "exit 99"
    rule first:
        input: "a"
        output: "{name,x|y}"
        priority: 10
        resources: frceapi_lookahead=0
        shell: "exit 99"
    rule last:
        output: "last"
        shell: "exit 99"
"""
_WAITS = """
    case $output in
    x | y) until [ -e go ]; do sleep 0.2; done ;;
    last) until [ -e fail ]; do sleep 0.2; done; exit 3 ;;
    esac
"""


def journal(flow: Workflow) -> str:
    """Return what the journals say."""
    return "".join(path.read_text("utf-8") for path in flow.directory.glob(".snakemake/frceapi/*/journal-*"))


@pytest.mark.parametrize("end", ["failure", "kill"])
def test_what_ends_before_snakemake_comes_to_it_is_recorded(workflow: MakeWorkflow, end: str) -> None:
    """A job may end while --jobs is full of others; when the run fails then, the next one puts it into the books."""
    plain, flow = (workflow(_WIDE, directory=directory) for directory in ("plain", "ahead"))
    plain.use_quick_jobs()
    plain.succeed()
    flow.use_quick_jobs(_WAITS)
    flow.defaults += ["--jobs", "3", "--frceapi-lookahead", "1"]
    running = flow.start()
    flow.wait_for(lambda: "end b" in "\n".join(flow.lines("ledger")), "the end of b")
    flow.wait_for(lambda: '"attached"' in journal(flow), "what b is made from")
    if end == "kill":
        running.signal(signal.SIGKILL)
        running.wait()
        flow.succeed("--unlock")
    flow.write("fail", "")
    if end == "failure":
        flow.wait_for(lambda: "Error in rule last" in running.text(), "the failure")
    flow.write("go", "")
    assert running.wait().exit_code != 0
    flow.final_jobs()
    flow.use_quick_jobs()
    flow.succeed("--rerun-incomplete")

    assert begun(flow).count("b") == 1
    assert lasting_records(flow.directory) == lasting_records(plain.directory)


_PAIR = """
    rule b:
        input: "a"
        output: "b"
        params: word=lambda wildcards: "word"
        shell: "exit 99"
    rule a:
        output: "a"
        shell: "exit 99"
"""


@pytest.mark.parametrize("goes_on", [True, False], ids=["it goes on by itself", "it waits at its gate"])
def test_the_next_run_takes_up_what_went_ahead(workflow: MakeWorkflow, *, goes_on: bool) -> None:
    """When Snakemake is dead, what waits in the queue or has gone on by itself is submitted and run only once."""
    plain, flow = (workflow(_PAIR, directory=directory) for directory in ("plain", "ahead"))
    plain.use_quick_jobs()
    plain.succeed("b")
    flow.use_quick_jobs("until [ -e go ]; do sleep 0.1; done")
    running = flow.start("b", "--frceapi-lookahead", "20")
    flow.wait_for(lambda: running.text().count("Submitted job") == 1 and len(flow.jobs) == 2, "both jobs")
    flow.wait_for(lambda: journal(flow).count('"accepted"') == 2, "their numbers")
    running.signal(signal.SIGKILL)
    running.wait()
    flow.succeed("--unlock")
    flow.write("go", "")
    flow.wait_for(lambda: flow.states == ["COMPLETED", "RUNNING"], "the second job, at its gate")
    if goes_on:  # after five minutes of silence; here the order says the same
        spool = Spool(flow.directory / ".snakemake" / "frceapi")
        assert all(map(spool.open_gate, spool.tokens()))
        flow.wait_for(lambda: flow.states == ["COMPLETED", "COMPLETED"], "both ends")
    flow.succeed("b", "--rerun-incomplete")

    assert begun(flow) == ["a", "b"]
    assert len(flow.jobs) == 2
    assert lasting_records(flow.directory) == lasting_records(plain.directory)
    assert "Nothing to be done" in flow.succeed("b", "--dry-run").output
    assert flow.left_in_run_directory() == []
