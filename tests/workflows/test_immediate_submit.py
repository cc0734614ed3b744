"""All jobs submitted at once: what is sent, what becomes of it, and whether Snakemake's books tell the truth then."""

from __future__ import annotations

import json
import os
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.snakemake_process import Result
    from tests.workflows.conftest import MakeWorkflow, Workflow

AT_ONCE = ("--immediate-submit", "--notemp")
AND_WAIT = (*AT_ONCE, "--frceapi-wait")

DIAMOND = """
    rule all:
        input: "d.txt", "e.txt"
        localrule: True
    rule a:
        input: "in.txt"
        output: "a.txt"
        shell: "exit 99"
    rule b:
        input: "a.txt"
        output: "b.txt"
        shell: "exit 99"
    rule c:
        input: "a.txt"
        output: "c.txt"
        shell: "exit 99"
    rule d:
        input: "b.txt", "c.txt"
        output: "d.txt"
        shell: "exit 99"
    rule e:
        output: "e.txt"
        shell: "exit 99"
"""
WORK = """
    test "$output" = a.txt || test "$output" = e.txt || test -e a.txt || echo "$output" >>too_early
    test "$output" != d.txt || { test -e b.txt && test -e c.txt; } || echo "$output" >>too_early
    until [ -e go ]; do sleep 0.1; done
    [ ! -e "fail-$output" ] || exit 3
"""
OUTPUTS = [f"{name}.txt" for name in "abcde"]


def diamond(workflow: MakeWorkflow, *, goes: bool = True) -> Workflow:
    """Return the diamond with quick jobs; unless it goes, they wait for the file ``go``."""
    flow = workflow(DIAMOND)
    flow.use_quick_jobs(WORK)
    flow.write("in.txt", "")
    if goes:
        flow.write("go", "")
    return flow


def sent(flow: Workflow, output: str) -> dict[str, set[str]]:
    """Return for each rule the rules behind which its job was sent."""
    rules = {}
    for line in output.splitlines():
        if line.startswith(("Submitted ", "Took up ")):
            words = line.rstrip(".").split()
            rules[int(words[-1])] = words[words.index("of") + 1]
    found = {}
    for job in flow.jobs:
        kind, *jobids = (job.submission.dependency or "afterok").split(":")
        assert kind == "afterok"
        found[rules[job.job_id]] = {rules[int(jobid)] for jobid in jobids}
    return found


def planned(flow: Workflow) -> list[str]:
    """Return the rules that Snakemake would run now."""
    lines = flow.succeed("-n").output.splitlines()
    if not any(line.startswith("total") for line in lines):
        return []
    begin = next(number for number, line in enumerate(lines) if line.startswith("-----"))
    end = next(number for number, line in enumerate(lines) if line.startswith("total"))
    return sorted(line.split()[0] for line in lines[begin + 1 : end])


def assert_all_is_recorded(flow: Workflow, outputs: list[str]) -> None:
    """See that nothing is left to do, and that each output has its record."""
    assert planned(flow) == []
    assert len(flow.files(".snakemake/metadata/**/*")) == len(outputs)
    assert flow.files(".snakemake/incomplete/**/*") == []


def records(flow: Workflow) -> dict[str, dict[str, object]]:
    """Return what Snakemake has recorded of each output, but for what is another in each process."""
    found = {name: json.loads(flow.read(name)) for name in flow.files(".snakemake/metadata/**/*")}
    others = ("starttime", "endtime", "job_hash")
    return {name: {key: record[key] for key in record if key not in others} for name, record in found.items()}


def assert_nothing_is_left(flow: Workflow) -> None:
    """See that there is no trace of jobs in the run directory.

    A job that links its end after its end was seen leaves that entry for the next start.
    """
    assert [name for name in flow.left_in_run_directory() if "/done/" not in name] == []
    assert flow.files(".snakemake/frceapi/*/*") == []


def test_submits_all_and_ends(workflow: MakeWorkflow) -> None:
    """Each job waits for those that make its inputs; nothing is asked, touched or recorded until the jobs have run."""
    flow = diamond(workflow, goes=False)
    result = flow.succeed(*AT_ONCE)

    assert sent(flow, result.output) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": set()}
    assert flow.calls("query_status") == 1
    assert "5 of 5 jobs wait or run" in result.output
    assert "Finished jobid" not in result.output
    assert [name for name in OUTPUTS if (flow.directory / name).exists()] == []
    assert flow.files(".snakemake/metadata/*") == []
    assert planned(flow) == ["a", "all", "b", "c", "d", "e"]

    flow.write("go", "")
    flow.final_jobs()
    assert planned(flow) == []
    flow.succeed()
    assert_all_is_recorded(flow, OUTPUTS)
    assert_nothing_is_left(flow)
    assert_each_once(flow.lines("ledger"), OUTPUTS)
    assert not flow.lines("too_early")


def test_wait_stays_until_all_have_ended(workflow: MakeWorkflow) -> None:
    """Snakemake counts the jobs as they end, records them, and has nothing to do afterwards."""
    flow = diamond(workflow)
    result = flow.succeed(*AND_WAIT)

    assert flow.final_states() == ["COMPLETED"] * 5
    assert [result.output.count(f"{number} of 6 steps") for number in range(1, 6)] == [1] * 5
    assert_each_once(flow.lines("ledger"), OUTPUTS)
    assert not flow.lines("too_early")
    assert_all_is_recorded(flow, OUTPUTS)
    assert_nothing_is_left(flow)


REAL = """
    rule all:
        input: "touched", "protected", "ensured", "last.txt"
        localrule: True
    rule first:
        output: "first.txt"
        log: "first.log"
        shell: "sleep 1; echo first >{output}"
    rule touches:
        input: "first.txt"
        output: touch("touched")
        shell: "true"
    rule protects:
        input: "first.txt"
        output: protected("protected")
        params: length=lambda wildcards, input: len(open(input[0]).read())
        group: "pair"
        shell: "echo {params.length} >{output}"
    rule ensures:
        input: "protected"
        output: ensure("ensured", non_empty=True)
        group: "pair"
        shell: "cat {input} >{output}"
    rule last:
        input: "ensured", "first.txt"
        output: "last.txt"
        script: "last.py"
"""


def test_what_snakemake_itself_could_not_submit_at_once(workflow: MakeWorkflow) -> None:
    """Flags, groups, parameters that read inputs, and scripts are as in any other run, and so are the records."""
    flows = [workflow(REAL, directory=name) for name in ("plain", "at-once")]
    for flow in flows:
        flow.write("last.py", "open(snakemake.output[0], 'w').write(open(snakemake.input[0]).read())\n")
    plain, at_once = flows
    plain.succeed("--notemp")
    result = at_once.succeed(*AND_WAIT)

    assert sent(at_once, result.output) == {
        "first": set(),
        "touches": {"first"},
        "pair": {"first"},
        "last": {"first", "pair"},
    }
    assert at_once.read("last.txt") == plain.read("last.txt") == "6\n"
    assert stat.S_IMODE((at_once.directory / "protected").stat().st_mode) & 0o222 == 0
    assert at_once.files("*") == plain.files("*")
    assert records(at_once) == records(plain)
    assert planned(at_once) == []
    assert_nothing_is_left(at_once)


@pytest.mark.parametrize("more", [(), (*AND_WAIT,)], ids=["attached", "at once"])
def test_next_run_adopts_what_is_pending(workflow: MakeWorkflow, more: tuple[str, ...]) -> None:
    """A second Snakemake submits nothing, whether it hands the jobs over one after another or all at once."""
    flow = diamond(workflow, goes=False)
    flow.succeed(*AT_ONCE)
    flow.wait_for(lambda: len(flow.lines("ledger")) == 2, "the first two jobs")
    running = flow.start("--rerun-incomplete", *more)
    flow.wait_for(lambda: "Took up" in running.text(), "a job that is taken up")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert result.output.count("Took up job") == 5
    assert flow.calls("submit_job") == 5
    assert_each_once(flow.lines("ledger"), OUTPUTS)
    assert_all_is_recorded(flow, OUTPUTS)
    assert_nothing_is_left(flow)


def test_next_run_replaces_what_waits_for_a_job_that_has_changed(workflow: MakeWorkflow) -> None:
    """What was submitted behind a job that is made anew would read something else, so it is submitted anew as well."""
    flow = diamond(workflow, goes=False)
    flow.succeed(*AT_ONCE)
    flow.write(
        "Snakefile",
        DIAMOND.replace('output: "b.txt"\n        shell: "exit 99"', 'output: "b.txt"\n        shell: "exit 98"'),
    )
    running = flow.start("--rerun-incomplete", *AT_ONCE)
    flow.wait_for(lambda: flow.calls("submit_job") == 7, "what replaces two jobs")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    flow.final_jobs()
    assert "does not serve, its code, parameters, inputs or outputs are others now" in result.output
    assert_each_once(flow.lines("ledger"), OUTPUTS)
    assert not flow.lines("too_early")
    flow.succeed()
    assert_all_is_recorded(flow, OUTPUTS)
    assert_nothing_is_left(flow)


def failing(workflow: MakeWorkflow, *arguments: str) -> tuple[Workflow, Result]:
    """Let rule b fail, when all is in the queue, in a directory where the outputs of an earlier run are out of date."""
    flow = diamond(workflow, goes=False)
    for name in OUTPUTS[:4]:
        os.utime(flow.write(name, "old\n"), (1_000_000_000, 1_000_000_000))
    flow.write("fail-b.txt", "")
    running = flow.start(*arguments)
    flow.wait_for(lambda: running.text().count("Submitted job") == 5, "all jobs")
    flow.write("go", "")
    return flow, running.wait()


def test_wait_cleans_up_after_a_failure(workflow: MakeWorkflow) -> None:
    """What waits for a job that failed never runs and keeps its old outputs as they are; the rest ends well."""
    flow, result = failing(workflow, *AND_WAIT)

    assert result.exit_code == 1
    assert "Of 5 jobs 1 failed, and what waits for them does not run: d (1)." in result.output
    assert result.output.count("Error in rule") == 1
    assert sorted(set(flow.final_states())) == ["CANCELLED", "COMPLETED", "FAILED"]
    begun = sorted(line.split()[1] for line in flow.lines("ledger") if line.startswith("begin"))
    assert begun == ["a.txt", "b.txt", "c.txt", "e.txt"]
    assert (flow.directory / "d.txt").stat().st_mtime == 1_000_000_000
    assert flow.read("d.txt") == "old\n"
    assert not (flow.directory / "b.txt").exists()
    assert planned(flow) == ["all", "b", "d"]
    (flow.directory / "fail-b.txt").unlink()
    flow.succeed(*AND_WAIT)
    assert_all_is_recorded(flow, OUTPUTS)
    assert_nothing_is_left(flow)


def test_the_truth_is_known_after_a_failure_that_nobody_saw(workflow: MakeWorkflow) -> None:
    """Without anybody there, Slurm keeps what waits for the failed job from running, and the next run makes it."""
    flow, result = failing(workflow, *AT_ONCE)
    assert result.exit_code == 0, result.output
    flow.final_jobs()

    assert flow.read("d.txt") == "old\n"
    assert "d" in planned(flow)
    (flow.directory / "fail-b.txt").unlink()
    (flow.directory / "b.txt").unlink(missing_ok=True)
    second = flow.succeed("--rerun-incomplete", "--frceapi-marker-grace", "2")
    assert "Took up" not in second.output
    begun = sorted(line.split()[1] for line in flow.lines("ledger") if line.startswith("begin"))
    assert begun == ["a.txt", "b.txt", "b.txt", "c.txt", "d.txt", "e.txt"]
    assert_all_is_recorded(flow, OUTPUTS)


@pytest.mark.parametrize("on_exit", ["cancel", "leave"])
def test_ctrl_c_while_waiting_does_what_on_exit_says(workflow: MakeWorkflow, on_exit: str) -> None:
    """All jobs are cancelled, those that wait for others too, or all go on and are taken up by the next run."""
    flow = diamond(workflow, goes=False)
    running = flow.start(*AND_WAIT, "--frceapi-on-exit", on_exit)
    flow.wait_for(lambda: running.text().count("Submitted job") == 5 and len(flow.lines("ledger")) == 2, "all jobs")
    running.signal(signal.SIGINT)
    assert running.wait().exit_code == 1
    flow.write("go", "")
    flow.final_jobs()

    if on_exit == "leave":
        assert flow.final_states() == ["COMPLETED"] * 5
        assert "5 jobs are left to run on" in running.text()
    else:
        assert "COMPLETED" not in flow.states
    flow.succeed("--rerun-incomplete")
    assert flow.calls("submit_job") == (5 if on_exit == "leave" else 10)
    assert_all_is_recorded(flow, OUTPUTS)
    assert_nothing_is_left(flow)


TWO = """
    rule all:
        input: "b.txt"
        localrule: True
    rule a:
        output: "a.txt"
        shell: "exit 99"
    rule b:
        input: "a.txt"
        output: "b.txt"
        shell: "exit 99"
"""


@pytest.mark.parametrize("arguments", [AT_ONCE, AND_WAIT], ids=["unattended", "wait"])
def test_a_twin_harms_nothing(workflow: MakeWorkflow, arguments: tuple[str, ...]) -> None:
    """A twin that others wait for ends as its owner does; where Snakemake is there, they are submitted anew instead.

    With Snakemake there, the first job has all CPUs, so that the twin for which others wait comes after it.
    """
    flow = workflow(TWO)
    flow.use_quick_jobs("until [ -e go ]; do sleep 0.1; done")
    flow.sandbox.hold()
    flow.sandbox.faults.drop_after(call="submit_job", count=1)
    threads = "8" if arguments == AND_WAIT else "1"
    graces = ("--frceapi-unknown-grace", "1", "--frceapi-marker-grace", "3")
    running = flow.start(*arguments, *graces, "--set-threads", f"a={threads}")
    flow.wait_for(lambda: len(flow.jobs) == 3, "a twin and what waits for it")
    assert flow.jobs[2].submission.dependency == f"afterok:{flow.jobs[1].job_id}"
    flow.sandbox.release()
    flow.wait_for(lambda: flow.lines("ledger"), "the owner")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    flow.final_jobs()
    assert_each_once(flow.lines("ledger"), ["a.txt", "b.txt"])
    if arguments == AT_ONCE:
        assert flow.final_states() == ["COMPLETED"] * 3
    else:
        assert flow.final_states() == ["COMPLETED", "FAILED", "CANCELLED", "COMPLETED"]
    flow.succeed()
    assert_all_is_recorded(flow, ["a.txt", "b.txt"])
    assert_nothing_is_left(flow)


def test_what_the_api_refuses_is_told_and_keeps_back_what_waits_for_it(workflow: MakeWorkflow) -> None:
    """What does not wait for it is submitted all the same; the exit code says that not all was."""
    flow = workflow(TWO)
    flow.use_quick_jobs()
    result = flow.run(*AT_ONCE, "--set-resources", "a:slurm_partition=nowhere", "--frceapi-url", flow.sandbox.url)

    assert result.exit_code == 1
    assert "bad_partition" in result.output
    assert "Of 2 jobs 1 failed, and what waits for them does not run: b (1)." in result.output
    assert flow.jobs == []
    assert flow.left_in_run_directory() == []


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            ("rule a:", "rule a:\n        localrule: True"),
            AT_ONCE,
            "--immediate-submit: rule a does not allow it: its jobs run on this machine (localrules), and others need",
        ),
        (
            ('output: "b.txt"', 'output: "b.txt"\n        resources: gpu=1'),
            AT_ONCE,
            "rule b: the API cannot express gpu=1",
        ),
        (("", ""), ("--frceapi-wait",), "--frceapi-wait is for --immediate-submit"),
    ],
    ids=["local", "resource", "wait alone"],
)
def test_what_cannot_be_done_is_refused_before_anything_is_submitted(
    workflow: MakeWorkflow, change: tuple[str, str], arguments: tuple[str, ...], message: str
) -> None:
    """One line says what, and no job is in the queue, also where the first level could have been."""
    flow = workflow(TWO.replace(*change))
    result = flow.run(*arguments)

    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output
    assert flow.jobs == []
    assert flow.left_in_run_directory() == []
