"""Tests of what is read of Snakemake's own job objects."""

from __future__ import annotations

from pathlib import Path

from snakemake.cli import get_argument_parser

from snakemake_executor_plugin_frceapi.readiness import USUAL_JOBNAME, usual_jobname
from tests.workflow_jobs import ready_jobs, workflow_of

SNAKEFILE = """
rule one:
    output: "{w}.out"
    group: "both" if config.get("group") else None
    shell: "touch {output}"

rule two:
    input: "a.out"
    output: "two"
    group: "both" if config.get("group") else None
    shell: "touch {output}"

rule all:
    input: "two"
    default_target: True
"""


def test_names_a_job_as_snakemake_does(tmp_path: Path) -> None:
    """The default of ``--jobname`` is the one that is known here, and makes the same of jobs."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    with workflow_of(tmp_path) as workflow:
        jobs = ready_jobs(workflow)
        names = {name: (usual_jobname(job), job.format_wildcards(USUAL_JOBNAME)) for name, job in jobs.items()}

    assert get_argument_parser().get_default("jobname") == USUAL_JOBNAME
    assert names["one"][0].startswith("snakejob.one.")
    assert [mine for mine, snakemakes in names.values() if mine != snakemakes] == []
