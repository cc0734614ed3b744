"""Tests of what is recorded of jobs that ended while no Snakemake was there, with Snakemake's own books."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Never

import pytest

from snakemake_executor_plugin_frceapi.bookkeeping import record_ended
from snakemake_executor_plugin_frceapi.identity import works_of
from snakemake_executor_plugin_frceapi.job import JobRequest, Work
from snakemake_executor_plugin_frceapi.journal import Entry
from snakemake_executor_plugin_frceapi.recovery import Legacy
from snakemake_executor_plugin_frceapi.spool import Spool
from tests.workflow_jobs import ready_jobs, workflow_of

SNAKEFILE = """
rule all:
    default_target: True
    input: "left", "right"
rule top:
    input: "in.txt"
    output: "top"
    group: "g"
    params: number=1
    log: "top.log"
    shell: "touch {output}"
rule side:
    input: "top"
    output: "{side,left|right}"
    group: "g"
    resources: mem_mb=lambda wildcards, input: 300 + input.size
    shell: "touch {output} # {resources.mem_mb}"
"""
ENDED = 1_000_000_000
"""When the outputs were written, in seconds of the epoch."""


class World:
    """A workflow whose jobs an earlier run has submitted, as one group.

    Attributes:
        said: lines for the user.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.spool = Spool(top / "spool")
        self.said: list[str] = []
        self.write("Snakefile", SNAKEFILE)
        self.write("in.txt", "")
        with workflow_of(top) as workflow:
            works = works_of(workflow.dag.get_job_group(ready_jobs(workflow)["top"]))
        self.entry = Entry(
            token="t",
            rule="g",
            attempt=1,
            works=works,
            request=JobRequest(partition="norm"),
            log_directory=top / "logs",
            posts=1,
            external_jobid="101",
        )

    def write(self, name: str, text: str) -> None:
        """Write a file, as old as the outputs are."""
        (self.top / name).write_text(text)
        os.utime(self.top / name, (ENDED, ENDED))

    def edit(self, old: str, new: str) -> None:
        """Change the Snakefile."""
        text = (self.top / "Snakefile").read_text()
        assert old in text
        (self.top / "Snakefile").write_text(text.replace(old, new))

    def ends(self, *, started: float = ENDED - 60, exit_code: int = 0) -> None:
        """The group has made everything and has ended, a minute after it began."""
        os.utime(self.top / "in.txt", ns=(self._age, self._age))
        for name in ("top", "left", "right"):
            self.write(name, "")
        directory = self.spool.job_directory("t")
        directory.mkdir()
        (directory / "end.101.0").write_text(
            f"id=101 restart=0 exit={exit_code} cause=own start={started} end={ENDED} cpu_ticks=1\n"
        )

    @property
    def _age(self) -> int:
        return (self.top / "in.txt").stat().st_mtime_ns

    def record(self, *entries: Entry) -> list[str]:
        """Begin another run; return the tokens of what is settled."""
        with workflow_of(self.top) as workflow:
            legacy = Legacy(self.spool, entries or [self.entry])
            settled = record_ended(workflow, legacy, self.spool, self.said.append)
        return [entry.token for entry in settled]

    def records(self) -> dict[str, Any]:
        """What Snakemake's books say of each output, as a later run reads them."""
        with workflow_of(self.top) as workflow:
            files = {str(path): path for job in workflow.dag.jobs for path in job.output}
            found = {name: workflow.persistence.metadata(path) for name, path in files.items()}
        return {name: record for name, record in found.items() if record is not None}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A group of which nothing has ended."""
    return World(tmp_path)


def test_records_what_has_ended_well(world: World) -> None:
    """Each member of the group has a record as after any run, with the times of the job."""
    world.ends()

    assert world.record() == ["t"]
    assert world.said == []
    records = world.records()
    assert records.keys() == {"top", "left", "right"}
    assert {(record.starttime, record.endtime) for record in records.values()} == {(ENDED - 60, ENDED)}
    assert {name: record.rule for name, record in records.items()} == {"top": "top", "left": "side", "right": "side"}
    top = records["top"]
    assert (top.input, top.params, top.log) == (["in.txt"], ["1"], ["top.log"])
    assert (top.code, top.shellcmd, top.incomplete) == ("touch {output}", "touch top", False)
    assert records["left"].shellcmd == "touch left # 300"


def test_removes_temporary_files_that_nobody_needs(world: World) -> None:
    """That is what Snakemake does when it has recorded the last job that needs them."""
    world.ends()
    world.edit('output: "top"', 'output: temp("top")')

    assert world.record() == ["t"]
    assert not (world.top / "top").exists()
    records = world.records()
    assert records["left"].input_checksums == records["right"].input_checksums != {}


@pytest.mark.parametrize("marker", [True, False])
def test_job_never_starts_after_its_end(marker: bool, world: World) -> None:  # noqa: FBT001 - a table
    """The clock of a node may be ahead, and the run directory may be gone: no job took less than no time."""
    world.ends(started=ENDED + 7)
    if not marker:
        world.spool.remove_job("t")
    world.record(replace(world.entry, ended=True))

    assert {(record.starttime, record.endtime) for record in world.records().values()} == {(ENDED, ENDED)}


def test_snakemake_sees_later_changes(world: World) -> None:
    """That is what the record is for: code that changes after it was made makes Snakemake run the job again."""
    world.ends()
    world.record()
    world.edit('shell: "touch {output}"\nrule side', 'shell: "touch  {output}"\nrule side')
    with workflow_of(world.top) as workflow:
        changed = {job.rule.name for job in workflow.dag.needrun_jobs()}

    assert "top" in changed


CHANGES: dict[str, tuple[str, str]] = {
    "code": ('params: number=1\n    log: "top.log"\n    shell: "touch {output}"', 'shell: "touch  {output}"'),
    "parameters": ("number=1", "number=2"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_records_nothing_of_what_has_changed(change: tuple[str, str], world: World) -> None:
    """The record would say that the output was made by what stands there now; the user is told instead, once."""
    world.ends()
    world.edit(*change)

    assert world.record() == ["t"]
    assert world.records() == {}
    (line,) = world.said
    assert line.startswith("Rule g: job 101 of an earlier run has ended well, but its code, ")
    assert line.endswith("Snakemake takes its outputs as they are; to make them anew, add --forcerun side top.")


def test_records_nothing_of_an_input_that_has_changed(world: World) -> None:
    """An input may be another one and no younger than the outputs: Snakemake would not notice."""
    world.ends()
    world.write("in.txt", "longer")

    assert world.record() == ["t"]
    assert world.records() == {}
    assert len(world.said) == 1


@pytest.mark.parametrize("works", ["then", "now"])
def test_records_nothing_of_what_cannot_be_compared(works: str, world: World) -> None:
    """Without a word: nobody knows whether anything has changed."""
    world.ends()
    entry = world.entry
    if works == "then":
        entry = replace(entry, works=tuple(Work(work.rule, work.products, "") for work in entry.works))
    else:
        world.edit("params: number=1", "params: number=lambda wildcards: open('number').read()")
        world.write("number", "1")
    with workflow_of(world.top) as workflow:
        (world.top / "number").unlink(missing_ok=True)
        for job in workflow.dag.jobs:
            job.reset_params_and_resources()
        settled = record_ended(workflow, Legacy(world.spool, [entry]), world.spool, world.said.append)
    world.write("number", "1")

    assert settled == [entry]
    assert world.said == []
    assert world.records() == {}


def test_leaves_what_snakemake_runs_to_the_run(world: World) -> None:
    """Whatever is to be made anew is handed to the executor, which looks at what was left itself."""
    world.ends()
    (world.top / "left").unlink()

    assert world.record() == []
    assert world.records() == {}


def test_leaves_what_is_no_part_of_the_workflow(world: World) -> None:
    """Other targets, or other names of outputs: a later run may know them."""
    world.ends()
    world.edit('input: "left", "right"', 'input: "left"')

    assert world.record() == []
    assert world.records() == {}


class Closed:
    """A workflow that nobody may look into."""

    def __getattr__(self, name: str) -> Never:
        pytest.fail(name)


@pytest.mark.parametrize("exit_code", [None, 3])
def test_leaves_what_has_not_ended_well(exit_code: int | None, world: World) -> None:
    """Snakemake's books are not even opened for it."""
    if exit_code:
        world.ends(exit_code=exit_code)

    assert record_ended(Closed(), Legacy(world.spool, [world.entry]), world.spool, world.said.append) == []


def fails(*_: object) -> Never:
    """Stand for an inside of Snakemake that has changed."""
    raise AttributeError


@contextmanager
def broken(workflow: Any, name: str) -> Iterator[None]:
    """Break a part of Snakemake."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(workflow.persistence), name, fails)
        yield


@pytest.mark.parametrize("name", ["finished", "metadata", "deactivate_cache", "_get_key"])
def test_goes_without_where_snakemake_has_changed(name: str, world: World) -> None:
    """No record, no message, and the run goes on; what could not be recorded is asked for again."""
    world.ends()
    with workflow_of(world.top) as workflow, broken(workflow, name):
        legacy = Legacy(world.spool, [world.entry])
        settled = record_ended(workflow, legacy, world.spool, world.said.append)

    assert settled == []
    assert legacy.entries == [world.entry]
    assert world.said == []


def test_goes_without_where_the_workflow_is_another(world: World) -> None:
    """A workflow without a DAG, of a Snakemake to come, is no reason to fail."""
    world.ends()

    assert record_ended(object(), Legacy(world.spool, [world.entry]), world.spool, world.said.append) == []


def test_records_the_others_where_one_cannot_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails for one job is no reason to forget the others."""
    world.ends()
    with workflow_of(world.top) as workflow:
        works = [works_of(job) for job in workflow.dag.jobs if job.output]
        alone = [replace(world.entry, token=work[0].products[0], works=work, ended=True) for work in works]
        monkeypatch.setattr(Spool, "latest_end", lambda _, token: fails() if token == "top" else None)
        monkeypatch.setattr(Legacy, "has_ended_well", lambda *_: True)
        settled = record_ended(workflow, Legacy(world.spool, alone), world.spool, world.said.append)

    assert {entry.token for entry in settled} == {"left", "right"}
    assert world.records().keys() == {"left", "right"}
    assert world.said == []
