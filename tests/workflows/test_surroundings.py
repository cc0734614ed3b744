"""What a job finds around it: environment, working directory, scratch; and what it leaves: logs and modes."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow

_PASSPHRASE = "corr$ect 'horse' \"battery\"\nstaple"


def _environment(flow: Workflow, name: str = "environment") -> dict[str, str]:
    """Return the variables that a job has written."""
    entries = flow.read(name).split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


@pytest.mark.parametrize(
    ("export", "carried"),
    [
        ("ALL", {"PLAIN": "a 'b' \"c\"\n$(touch pwned)", "OTHER": "o"}),
        ("NONE", {}),
        ("OTHER,NEW=n", {"OTHER": "o", "NEW": "n"}),
    ],
    ids=["all", "none", "list"],
)
def test_export_chooses_the_variables_of_a_job(
    workflow: MakeWorkflow, tmp_path: Path, export: str, carried: dict[str, str]
) -> None:
    """``--frceapi-export`` works as sbatch's; ``envvars:`` always go and are seen nowhere else."""
    flow = workflow("""
        envvars: "PASSPHRASE"
        rule show:
            output: "environment"
            shell:
                "env -0 >{output}; greet >greeting 2>/dev/null || true; "
                "python3 -c 'import sys; print(sys.prefix)' >prefix"
    """)
    flow.environment |= {"PLAIN": "a 'b' \"c\"\n$(touch pwned)", "OTHER": "o", "PASSPHRASE": _PASSPHRASE}
    flow.environment |= {"BASH_FUNC_greet%%": "() {  echo hello\n}", "SLURM_JOB_ID": "1", "KRB5CCNAME": "FILE:/x"}
    result = flow.succeed("--frceapi-export", export, "--frceapi-keep-successful-logs", "--verbose")

    found = _environment(flow)
    assert {name: found[name] for name in ("PLAIN", "OTHER", "NEW") if name in found} == carried
    assert found["PASSPHRASE"] == _PASSPHRASE
    assert found["SLURM_JOB_ID"] == str(flow.jobs[0].job_id)
    assert not {"KRB5CCNAME", "SNAKEMAKE_FRCEAPI_URL"} & set(found)
    assert flow.sandbox.url not in flow.read("environment")
    assert flow.read("greeting") == ("hello\n" if export == "ALL" else "")
    assert found["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert flow.read("prefix").strip() == sys.prefix
    texts = [path.read_text("utf-8", "replace") for path in flow.directory.rglob("*.log")]
    texts += [result.output, flow.sandbox.output(flow.jobs[0].job_id), *(job.submission.script for job in flow.jobs)]
    assert len(texts) >= 4
    secrets = ("battery", flow.sandbox.url.split("/")[3])
    assert not [text for text in texts for secret in secrets if secret in text]
    assert not list(tmp_path.rglob("pwned"))


def test_job_setup_and_scratch_surround_the_command(workflow: MakeWorkflow, tmp_path: Path) -> None:
    """Set-up lines run in the command's shell; each job has a TMPDIR of its own on the node, which goes with it."""
    flow = workflow("""
        rule all:
            input: expand("{name}.tmpdir", name=["x", "y"])
        rule one:
            output: "{name}.tmpdir"
            shell:
                'echo "$TMPDIR" >{output}; touch "$TMPDIR/left"; stat -c %a "$TMPDIR" >>{output}; '
                'echo {resources.tmpdir:q} >>{output}; echo "$SET_UP" >>{output}'
    """)
    scratch = tmp_path / "node's scratch"
    scratch.mkdir()
    flow.succeed("--frceapi-scratch", str(scratch), "--frceapi-job-setup", 'SET_UP="it\'s\nset"\nexport SET_UP')

    lines = {name: flow.lines(f"{name}.tmpdir") for name in ("x", "y")}
    assert {Path(found[0]).parent for found in lines.values()} == {scratch}
    assert lines["x"][0] != lines["y"][0]
    assert all(found[1:] == ["700", found[0], "it's", "set"] for found in lines.values())
    assert list(scratch.iterdir()) == []


def test_umask_is_the_users_and_the_run_directory_is_private(workflow: MakeWorkflow) -> None:
    """Outputs and logs have the user's umask; nobody else can read what waits in the run directory."""
    flow = workflow("""
        rule one:
            output: "out.txt"
            shell: "umask >{output}; find .snakemake/frceapi -printf '%m %y %P\\\\n' >modes"
    """)
    flow.umask = 0o027
    flow.succeed("--frceapi-keep-successful-logs")

    assert flow.read("out.txt") == "0027\n"
    (log,) = flow.files(".snakemake/frceapi_logs/**/*.log")
    assert stat.S_IMODE((flow.directory / log).stat().st_mode) == 0o640
    modes = [line.split(" ", 2) for line in flow.lines("modes")]
    assert len(modes) > 8
    assert {mode for mode, kind, path in modes if kind == "d" and path} == {"700"}
    assert {mode for mode, kind, _ in modes if kind == "f"} == {"600"}


def test_logs_stay_where_they_are_needed(workflow: MakeWorkflow) -> None:
    """A log is named by rule, wildcards and external jobid; it stays for failed jobs and until it is old."""
    flow = workflow("""
        rule all:
            input: "A_1.good", "B_2.bad"
        rule good:
            output: "{sample}_{unit}.good"
            shell: "echo well; touch {output}"
        rule bad:
            output: "{sample}_{unit}.bad"
            shell: "echo 'the reason'; exit 3"
    """)
    old = flow.write(".snakemake/frceapi_logs/rule_former/x/1.log", "old")
    os.utime(old, (0, 0))
    assert flow.run("--keep-going").exit_code == 1

    logs = {job.job_id: job for job in flow.jobs}
    (log,) = flow.files(".snakemake/frceapi_logs/**/*.log")
    parts = log.split("/")
    assert parts[2:4] == ["rule_bad", "B_2"]
    assert logs[int(parts[4].removesuffix(".log"))].exit_code == 1
    assert "the reason" in flow.read(log)
    assert flow.left_in_run_directory() == []


def test_logs_are_kept_where_the_user_wants_them(workflow: MakeWorkflow, tmp_path: Path) -> None:
    """Logs of successful jobs stay, in the directory and for as long as the user says."""
    flow = workflow("""
        rule good:
            output: "good"
            shell: "echo well >&2; touch {output}"
    """)
    old = tmp_path / "my logs" / "rule_former" / "1.log"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    os.utime(old, (0, 0))
    flow.succeed(
        "--frceapi-keep-successful-logs", "--frceapi-logdir", "../my logs", "--frceapi-delete-logfiles-older-than", "0"
    )

    (log,) = (tmp_path / "my logs" / "rule_good").iterdir()
    assert log.name == f"{flow.jobs[0].job_id}.log"
    assert "well" in log.read_text()
    assert old.exists()
