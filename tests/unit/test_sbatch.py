"""Tests of batch scripts that are submitted by hand, with options of sbatch."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from snakemake_executor_plugin_frceapi.cli import main
from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.partitions.source import frce_table
from snakemake_executor_plugin_frceapi.partitions.table import NO_TABLE
from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig
from snakemake_executor_plugin_frceapi.sbatch import request_of, sent_script
from tests.raw_server import RawServer, answer, say, say_and_close

SCRIPT = "#!/bin/bash\n#SBATCH -p norm --mem=1G  # what it needs\n\n# a comment\n#SBATCH -t 10\necho\n#SBATCH -c 9\n"


@pytest.mark.parametrize(
    ("script", "options", "asked"),
    [
        ("#!/bin/sh\n", "-p norm", {"partition": "norm"}),
        (SCRIPT, "", {"partition": "norm", "mem_mb_per_node": 1024, "time_limit_minutes": 10}),
        (SCRIPT, "-t 1-0", {"partition": "norm", "mem_mb_per_node": 1024, "time_limit_minutes": 1440}),
        (
            "#!/bin/sh\n",
            "-p gpu -n 4 -c 2 --mem-per-cpu 500 --ntasks-per-node=2 --ntasks-per-core 1 -d afterok:7",
            {
                "partition": "gpu",
                "ntasks": 4,
                "cpus_per_task": 2,
                "mem_mb_per_cpu": 500,
                "ntasks_per_node": 2,
                "ntasks_per_core": 1,
                "dependency": "afterok:7",
            },
        ),
    ],
)
def test_reads_options_of_sbatch(script: str, options: str, asked: dict[str, object]) -> None:
    """The lines before the first command count, and options on the command line win over them."""
    request = request_of(script, shlex.split(options), NO_TABLE)

    assert {name: value for name, value in asdict(request).items() if value is not None} == asked


@pytest.mark.parametrize(("minutes", "partition"), [("20", "short"), ("60", "norm"), ("9-0", "unlimited")])
def test_chooses_a_partition_where_the_table_knows_them(minutes: str, partition: str) -> None:
    """Without a name it is the one that fits best."""
    assert request_of("#!/bin/sh\n", [f"--time={minutes}"], frce_table()).partition == partition


@pytest.mark.parametrize(
    ("script", "options", "words"),
    [
        ("#!/bin/sh\n#SBATCH --job-name=x\n", "-p norm", "the API cannot express --job-name; take it out"),
        ("#!/bin/sh\n", "-p norm --nodes=2", "the API cannot express --nodes; take it out"),
        ("#!/bin/sh\n", "-p norm -A lab", "the API cannot express --account; take it out"),
        ("#!/bin/sh\n#SBATCH 'x\n", "-p norm", "do not match; mend them"),
        ("#!/bin/sh\n", "", "no partition is given; name one with --partition"),
        ("#!/bin/sh\n", "-p norm -d after", "'after'"),
        ("#!/bin/sh\n", "-p norm -c 0", "-c='0' is not a whole number"),
    ],
)
def test_refuses_what_cannot_be_sent(script: str, options: str, words: str) -> None:
    """Every option that would be lost is refused by its name."""
    with pytest.raises(JobError) as caught:
        request_of(script, shlex.split(options), NO_TABLE)

    assert words in str(caught.value)


def test_refuses_what_would_wait_for_ever() -> None:
    """A job over the caps of its partition is refused with the option that changes it."""
    with pytest.raises(JobError, match=r"ask for less with --cpus-per-task=NUMBER"):
        request_of("#!/bin/sh\n", ["-p", "norm", "-c", "700"], frce_table())


def test_sends_a_script_without_directives_and_not_too_long() -> None:
    """What the service strips is not sent, and what is too large has a remedy."""
    assert sent_script(SCRIPT) == "#!/bin/bash\n\n# a comment\necho\n"
    with pytest.raises(JobError, match="let a short script run it"):
        sent_script("#!/bin/sh\n" + "\n" * 2000)


def submit(url: str, tmp_path: Path, *arguments: str, script: str = SCRIPT) -> Result:
    """Run ``frceapi submit`` on a script."""
    (tmp_path / "job.sh").write_text(script)
    environment = {"SNAKEMAKE_FRCEAPI_URL": url, "SNAKEMAKE_SLURM_PARTITIONS": None}
    result = CliRunner().invoke(main, ["submit", str(tmp_path / "job.sh"), *arguments], env=environment)
    assert not isinstance(result.exception, Exception), result.output
    return result


def test_command_submits_a_script(tmp_path: Path) -> None:
    """The job runs with what was asked, and its number is printed as sbatch does."""
    out = tmp_path / "out"
    with Sandbox(SandboxConfig(cpus=2, mem_mb=1000)) as sandbox:
        script = f"#!/bin/bash\n#SBATCH -p norm\necho $SLURM_CPUS_PER_TASK >{out}\n"
        result = submit(sandbox.url, tmp_path, "-c", "2", "--mem=100", script=script)
        (job,) = sandbox.jobs.values()
        sandbox.wait(job.job_id)

    assert (result.exit_code, result.output) == (0, f"Submitted batch job {job.job_id}\n")
    assert out.read_text() == "2\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gres=gpu:1"], "the API cannot express --gres; take it out"),
        (["input.txt"], "the API cannot express input.txt; write it into the script"),
        (["--partition", "no such"], "partition is 'no such'"),
        (["--url", "http://127.0.0.1:9/"], "cannot reach http://127.0.0.1:9/"),
    ],
)
def test_command_refuses_by_name(arguments: list[str], words: str, tmp_path: Path) -> None:
    """What cannot be sent is one line, and nothing is submitted."""
    with Sandbox(SandboxConfig(cpus=2, mem_mb=1000)) as sandbox:
        result = submit(sandbox.url, tmp_path, *arguments)
        jobs = list(sandbox.jobs)

    assert (result.exit_code, jobs) == (1, [])
    assert words in result.output


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(b'{"status": "call_failure", "reason": "bad_partition"}'), "choose another one with -p\n"),
        (b"HTTP/1.1 200", "look at `frceapi jobs` before you submit it again"),
    ],
)
def test_command_tells_what_became_of_it(reply: bytes, words: str, tmp_path: Path) -> None:
    """A refusal, and an answer that nobody got, are not the same."""
    with RawServer(say_and_close(reply) if b"{" not in reply else say(reply)) as server:
        result = submit(server.url(), tmp_path)

    assert result.exit_code == 1
    assert words in result.output
