"""Tests of the table that tells which job is which."""

from __future__ import annotations

from pathlib import Path

from snakemake_executor_plugin_frceapi.job_table import job_row

HEAD = "external_jobid\trule\twildcards\tlog\n"


def test_appends_a_row_a_job(tmp_path: Path) -> None:
    """The head stands there once, and each job in a row of its own below it."""
    table = tmp_path / "logs" / "jobs.tsv"
    job_row(table, "map", {"sample": "A1", "unit": "2"}, Path("/logs/rule_map/A1_2")).add("7")
    job_row(table, "all_in_one", {}, Path("/logs/group_all")).add("8")

    assert table.read_text() == (
        f"{HEAD}7\tmap\tsample=A1,unit=2\t/logs/rule_map/A1_2/7.log\n8\tall_in_one\t\t/logs/group_all/8.log\n"
    )


def test_keeps_rows_apart_whatever_a_wildcard_holds(tmp_path: Path) -> None:
    """Tabs, line ends and bytes that are no text do not make other cells or rows."""
    job_row(tmp_path / "jobs.tsv", "map", {"w": "a\tb\nc\udcff"}, Path("/logs")).add("7")

    assert (tmp_path / "jobs.tsv").read_text() == f"{HEAD}7\tmap\tw=a?b?c?\t/logs/7.log\n"


def test_fails_no_job_where_it_cannot_be_written(tmp_path: Path) -> None:
    """A log directory that is a file leaves the job alone."""
    (tmp_path / "logs").touch()
    job_row(tmp_path / "logs" / "jobs.tsv", "map", {}, Path("/logs")).add("7")

    assert (tmp_path / "logs").read_text() == ""
