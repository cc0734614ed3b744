"""A rule that depends on another through Slurm alone: nothing in the workflow says so."""

from __future__ import annotations

import re

DEPENDENT_RULES = """
    import glob, json

    def job_of_first(wildcards):
        lines = [json.loads(line) for path in glob.glob(".snakemake/frceapi/*/journal-*") for line in open(path)]
        token = next(line["token"] for line in lines if line.get("rule") == "first")
        accepted = [line for line in lines if line["event"] == "accepted" and line["token"] == token]
        return "afterok:" + accepted[0]["external_jobid"]

    rule all:
        input: "first.txt", "second.txt"
        localrule: True
    rule first:
        output: "first.txt"
        resources: mem_mb=300
        shell: "until [ -e go ]; do sleep 0.2; done; touch {output}"
    rule before:
        output: touch("before.txt")
        resources: mem_mb=300
        shell: "until grep -q first .snakemake/frceapi_logs/jobs.tsv; do sleep 0.2; done"
    rule later:
        input: "before.txt"
        output: touch("later.txt")
        resources: mem_mb=300, frceapi_lookahead=0
        shell: "true"
    rule second:
        input: "later.txt"
        output: "second.txt"
        resources: mem_mb=300, dependency=job_of_first
        shell: "echo ran >>second_ran.txt; test -e first.txt; touch {output}"
"""
"""`first` ends when the file ``go`` is there; `second` needs its output, and goes ahead behind `later`."""


def job_of(rule: str, output: str) -> str:
    """Return the external jobid of the job of a rule, from what Snakemake printed."""
    found = re.search(rf"of {rule} with external jobid (\d+)", output)
    assert found is not None
    return found[1]
