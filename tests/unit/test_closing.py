"""Tests of the reports that are written as a run ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.reports.closing import Closing
from snakemake_executor_plugin_frceapi.settings import ExecutorSettings
from tests.records import record


def test_writes_nothing_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a report there is the one line, and without jobs not even that."""
    monkeypatch.chdir(tmp_path)
    closing = Closing(ExecutorSettings())

    assert list(closing.write([])) == []
    assert len(list(closing.write([record()]))) == 1
    assert list(tmp_path.iterdir()) == []


def test_writes_where_the_run_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name is one in the directory of the start, and nothing but the report is left there."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    closing = Closing(ExecutorSettings(efficiency_report=True, efficiency_report_path=Path("used.csv")))
    monkeypatch.chdir(tmp_path / "elsewhere")
    lines = list(closing.write([record()]))

    assert lines[1] == f"What each job used of what it asked for: {tmp_path}/used.csv"
    assert lines[2].endswith("--set-threads map=1 --set-resources map:mem_mb=400")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "used.csv"]
    assert (tmp_path / "used.csv").read_text().startswith("external_jobid,rule,")


def test_names_a_report_by_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name of its own no report overwrites that of another run."""
    monkeypatch.chdir(tmp_path)
    list(Closing(ExecutorSettings(efficiency_report=True)).write([record()]))

    assert len(list(tmp_path.glob("efficiency_report_????????-??????.csv"))) == 1


def test_writes_a_timeline_unless_there_is_nothing_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without jobs leaves the page of the one before."""
    monkeypatch.chdir(tmp_path)
    closing = Closing(ExecutorSettings(timeline=Path("run.html")))
    assert list(closing.write([])) == []
    assert not (tmp_path / "run.html").exists()
    lines = list(closing.write([record()]))

    assert lines[1:] == [f"Timeline of all jobs: {tmp_path}/run.html"]
    assert f"<title>{tmp_path}</title>" in (tmp_path / "run.html").read_text()


@pytest.mark.parametrize(("path", "words"), [("missing/used.csv", "is no directory of yours"), (".", "is a directory")])
def test_refuses_a_place_before_anything_is_submitted(
    path: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a report cannot be written, that is told at once and not at the end of a long run."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError, match=rf"^--frceapi-efficiency-report-path: .*{words}.*; name a file"):
        Closing(ExecutorSettings(efficiency_report=True, efficiency_report_path=Path(path)))


def test_says_what_could_not_be_written(tmp_path: Path) -> None:
    """A directory that has gone meanwhile costs the report and nothing else."""
    place = tmp_path / "gone"
    place.mkdir()
    closing = Closing(ExecutorSettings(efficiency_report=True, efficiency_report_path=place / "used.csv"))
    place.rmdir()

    assert f"{place}/used.csv could not be written: No such file or directory." in list(closing.write([record()]))


def test_survives_times_that_are_none(tmp_path: Path) -> None:
    """A job whose end was written by a node without a clock costs the report and not the end of the run."""
    closing = Closing(ExecutorSettings(timeline=tmp_path / "run.html"))
    lines = list(closing.write([record(started=-1e300, begun=-1e300, ended=1e300)]))

    assert lines[-1].startswith("A report could not be made: ")
