"""Tests of how a job is known again, with Snakemake's own jobs: what changes its signature, and what does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.deployment.conda import Conda

from snakemake_executor_plugin_frceapi.identity import made_before, products_of, works_of
from snakemake_executor_plugin_frceapi.job import Work
from snakemake_executor_plugin_frceapi.lookahead import parameters_of, unfinished
from tests.workflow_jobs import ready_jobs, workflow_of

SNAKEFILE = """
rule one:
    input: "in.txt", late="in2.txt", directory="directory"
    output: "{w}.out", b="{w}.b"
    params: number=1, name="x", made=lambda wildcards: {"to": {"b", "a"}}
    shell: "cp {input} {output}"

rule all:
    input: "v.out"
    default_target: True
"""


class Place:
    """A working directory with a workflow.

    Attributes:
        directory: the directory.
        deploys: how software is deployed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.deploys = ""
        self.write("Snakefile", SNAKEFILE)
        for name in ("in.txt", "in2.txt", "directory/file"):
            self.write(name, name)

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")

    def edit(self, old: str, new: str) -> None:
        """Change the Snakefile."""
        text = (self.directory / "Snakefile").read_text("utf-8")
        assert old in text
        self.write("Snakefile", text.replace(old, new))

    def age(self, name: str, seconds: int = 100) -> None:
        """Make a file older."""
        path = self.directory / name
        found = path.stat()
        os.utime(path, (found.st_atime - seconds, found.st_mtime - seconds))

    def grow(self, name: str) -> None:
        """Make a file longer, and no younger."""
        path = self.directory / name
        found = path.stat()
        path.write_bytes(path.read_bytes() + b"x")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def works(self) -> tuple[Work, ...]:
        """Read the workflow anew and return what its rule makes."""
        with workflow_of(self.directory, deploys=self.deploys) as workflow:
            return works_of(ready_jobs(workflow)["one"])

    def signature(self) -> str:
        """Read the workflow anew and return the signature of its rule, which there is."""
        (work,) = self.works()
        assert len(work.signature) == 32
        return work.signature


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A workflow of one rule."""
    return Place(tmp_path)


Edit = Callable[[Place], object]


def edits(old: str, new: str) -> Edit:
    """A change of the Snakefile."""
    return lambda place: place.edit(old, new)


def writes(name: str) -> Edit:
    """An empty file."""
    return lambda place: place.write(name, "")


def all_of(*changes: Edit) -> Edit:
    """Several changes."""

    def change(place: Place) -> None:
        for one in changes:
            one(place)

    return change


CODE = '    shell: "cp {input} {output}"'
CHANGES: dict[str, Edit] = {
    "shell command": edits("cp {input}", "cp -p {input}"),
    "value of a parameter": edits("number=1", "number=2"),
    "type of a parameter": edits("number=1", "number='1'"),
    "parameters whose values are swapped": edits('number=1, name="x"', 'number="x", name=1'),
    "parameters whose names are swapped": edits('number=1, name="x"', 'name=1, number="x"'),
    "a further parameter": edits("number=1", "number=1, more=0"),
    "a parameter less": edits("number=1, ", ""),
    "content of a set in a parameter": edits('{"b", "a"}', '{"b", "c"}'),
    "a key in a parameter": edits('{"to"', '{"from"'),
    "another input": edits('"in.txt"', '"in2.txt"'),
    "names of inputs": edits('late="in2.txt", directory="directory"', 'directory="in2.txt", late="directory"'),
    "names of outputs": edits('"{w}.out", b="{w}.b"', '"{w}.b", b="{w}.out"'),
    "content of an input": lambda place: place.write("in.txt", "in.txT"),
    "size of an input": lambda place: place.grow("in.txt"),
    "age of an input": lambda place: place.age("in.txt"),
    "a file in a directory": lambda place: place.write("directory/file2", ""),
    "the way it runs": all_of(writes("s.py"), edits(CODE, '    script: "s.py"')),
    "wrapper": edits(CODE, '    wrapper: "v1.0.0/bio/x"'),
    "container": edits("    shell", '    container: "docker://a"\n    shell'),
    "environment modules": edits("    shell", '    envmodules: "R/4"\n    shell'),
    "wildcards": edits('"{w}.out", b="{w}.b"', '"{w}{x,.?}.out", b="{w}{x}.b"'),
}
"""What makes another job of it, each by itself."""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_with_what_the_job_is_made_of(change: Edit, place: Place) -> None:
    """A job whose outputs would be others now is not the same job."""
    before = place.signature()
    change(place)

    assert place.signature() != before


NOTEBOOK = '{"metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5, "cells": []}'
"""What is a script in Python as well."""


def written(place: Place, name: str, first: str, second: str, line: str) -> tuple[str, str]:
    """The signatures before and after a change of a file that the rule names."""
    place.write(name, first)
    place.edit(CODE, line)
    before = place.signature()
    place.write(name, second)
    place.age(name, -100)
    return before, place.signature()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("s.py", '    script: "s.py"'),
        ("v.R", '    script: "{wildcards.w}.R"'),
        ("s-1.py", '    script: "s-{params.number}.py"'),
        ("n.ipynb", '    notebook: "n.ipynb"'),
    ],
)
def test_changes_with_the_content_of_a_script(name: str, line: str, place: Place) -> None:
    """A script that was edited makes another job; one that was only touched does not."""
    before, after = written(place, name, NOTEBOOK, NOTEBOOK + "\n", line)
    assert before != after

    place.age(name)
    assert place.signature() == after


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("        print(1)", "        print(2)"),
        ("        for _ in ():\n            pass", "        for _ in (1,):\n            pass"),
    ],
)
def test_changes_with_the_lines_of_a_run_block(first: str, second: str, place: Place) -> None:
    """Code in the Snakefile itself counts as it stands there."""
    place.edit(CODE, f"    run:\n{first}")
    before = place.signature()
    place.edit(first, second)

    assert place.signature() != before


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ('    wrapper: "v1.0.0/bio/x"', "v1.0.0", "v1.0.1"),
        ('    container: "docker://a"\n', "docker://a", "docker://b"),
        ('    envmodules: "R/4", "gcc"\n', "R/4", "R/5"),
        ('    cwl: "https://example.org/a.cwl"', "a.cwl", "b.cwl"),
    ],
)
def test_changes_with_the_version_of_software(line: str, old: str, new: str, place: Place) -> None:
    """What brings the software counts by its name."""
    place.edit(CODE, line + (CODE if line.endswith("\n") else ""))
    before = place.signature()
    place.edit(old, new)

    assert place.signature() != before


CONDA = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
case $1 in
info) echo '{"conda_prefix": "/opt", "platform": "linux-64"}' ;;
--version) echo "conda 24.7.1" ;;
config) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


@pytest.fixture
def conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that answers as conda does, and the file that it notes its calls in."""
    program = tmp_path / "bin" / "conda"
    program.parent.mkdir()
    program.write_text(CONDA, "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(Conda, "instances", {})
    return program.with_name("calls")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # Snakemake leaves the files that it reads open
def test_changes_with_the_content_of_a_conda_environment(conda: Path, place: Place) -> None:
    """The environment's file, its pins and what is run after it was made count where conda is used."""
    place.deploys = "CONDA"
    place.write("env.yaml", "dependencies: [a]")
    place.edit("    shell", '    conda: "env.yaml"\n    shell')
    signatures = [place.signature()]
    for name in ("env.yaml", "env.linux-64.pin.txt", "env.post-deploy.sh"):
        place.write(name, "changed: b")
        signatures.append(place.signature())

    assert len(set(signatures)) == 4
    assert conda.exists()


def test_asks_no_conda_that_is_not_used(conda: Path, place: Place) -> None:
    """A rule that names an environment is known again on a machine without conda."""
    before = place.signature()
    place.write("env.yaml", "dependencies: [a]")
    place.edit("    shell", '    conda: "env.yaml"\n    shell')

    assert place.signature() == before
    assert not conda.exists()


# What leaves it the same job ------------------------------------------------------------------------------------------

LEAVES: dict[str, Edit] = {
    "threads": edits("    shell", "    threads: 3\n    shell"),
    "resources": edits(
        "    shell", "    resources: mem_mb=lambda wildcards, attempt: attempt * 7, runtime=5\n    shell"
    ),
    "log": edits("    shell", '    log: "{w}.log"\n    shell'),
    "priority": edits("    shell", "    priority: 3\n    shell"),
    "another rule": edits("rule all", 'rule two:\n    output: "b"\n\nrule all'),
    "a comment": edits("    shell", "    # why\n    shell"),
    "outputs that are there": all_of(writes("v.out"), writes("v.b")),
    "a file in a directory with a time of its own": lambda place: place.age("directory/file"),
    "the words of a parameter": edits('{"b", "a"}', "set('a' + 'b')"),
}
"""What leaves it the same job, each by itself."""


@pytest.mark.parametrize("change", LEAVES.values(), ids=LEAVES)
def test_stays_with_what_changes_no_output(change: Edit, place: Place) -> None:
    """What a job asks for, and when its outputs were written, says nothing of what it makes."""
    before = place.signature()
    change(place)

    assert place.signature() == before


@pytest.mark.parametrize(
    "derived",
    ["threads", "resources", "input", "output"],
)
def test_stays_with_parameters_that_follow_from_something_else(derived: str, place: Place) -> None:
    """A parameter made from threads or resources grows with each attempt and is no change."""
    place.edit("number=1", f"number=lambda wildcards, {derived}: str({derived})")
    before = place.signature()
    place.edit("    shell", "    threads: 2\n    resources: mem_mb=5\n    shell")

    assert place.signature() == before


def test_stays_with_the_attempt(place: Place) -> None:
    """The second attempt of a job is the same job."""
    place.edit("    shell", "    resources: mem_mb=lambda wildcards, attempt: attempt * 7\n    shell")
    with workflow_of(place.directory) as workflow:
        job = ready_jobs(workflow)["one"]
        first = works_of(job)
        job.attempt = 2

        assert works_of(job) == first


@pytest.mark.parametrize("change", [lambda place: place.age("in.txt"), lambda place: place.write("in.txt", "other")])
def test_stays_with_an_ancient_input(change: Edit, place: Place) -> None:
    """The user has said that the version of this input does not count."""
    place.edit('"in.txt"', 'ancient("in.txt")')
    before = place.signature()
    change(place)

    assert place.signature() == before


def test_directory_is_as_old_as_snakemake_says(place: Place) -> None:
    """Snakemake notes the age of a directory that it made in a file, whatever changes inside later."""
    place.write("directory/.snakemake_timestamp", "")
    before = place.signature()
    place.write("directory/file2", "")
    assert place.signature() == before

    place.age("directory/.snakemake_timestamp")
    assert place.signature() != before


def test_asks_for_parameters_anew(place: Place) -> None:
    """A parameter that was read from a file before an upstream job made it anew counts as it is when the job begins."""
    place.write("number", "1")
    place.edit("number=1", "number=lambda wildcards: open('number').read()")
    place.edit(CODE, "    run: pass")
    with workflow_of(place.directory) as workflow:
        (work,) = works_of(ready_jobs(workflow)["one"])
    with workflow_of(place.directory) as workflow:
        place.write("number", "2")
        (later,) = works_of(ready_jobs(workflow)["one"])

    assert later.signature == place.signature() != work.signature


UNSTABLE = '''
import functools, pathlib

class Opaque:
    """Its representation holds an address."""

class Table:
    """As a table of a library, it shows only a part of itself."""
    def __init__(self, *values): self.values = values
    def __repr__(self): return "1 ... 9"
    def to_csv(self): return str(self.values)

class Array(list):
    def tolist(self): return list(self)

def function(): pass

rule one:
    input: "in.txt", workflow.source_path("source.txt")
    output: "v.out"
    params:
        {"d", "e", "f"},
        lambda wildcards: frozenset("ghijk"),
        lambda wildcards: {"k": {"l", "m", "n"}, ("o",): [{"p", "q"}]},
        lambda wildcards: dict.fromkeys({"r", "s", "t", "u"}),
        lambda wildcards: Opaque(),
        lambda wildcards: [function, functools.partial(function, {"v"}), Opaque],
        lambda wildcards: Table(1, 5, 9),
        lambda wildcards: pathlib.Path("w"),
        workflow.source_path("source.txt"),
        lambda wildcards: workflow.source_path("source.txt"),
        text="{x}"
    script: "s.py"

rule all:
    default_target: True
    input: "v.out"
'''.replace("{x}", "y")
PRINT = """
import json, sys
from pathlib import Path
from snakemake_executor_plugin_frceapi.identity import works_of
from tests.workflow_jobs import ready_jobs, workflow_of

with workflow_of(Path(sys.argv[1])) as workflow:
    print(json.dumps([work.signature for work in works_of(ready_jobs(workflow)["one"])]))
"""


def test_is_the_same_in_each_process(place: Place) -> None:
    """Sets and dictionaries in any order, objects at any address and copies under any name are the same ones."""
    place.write("Snakefile", UNSTABLE)
    place.write("source.txt", "")
    place.write("s.py", "")
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
        command = [sys.executable, "-c", PRINT, str(place.directory)]
        found.add(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)

    assert len(found) == 1
    assert len(json.loads(found.pop())[0]) == 32


@pytest.mark.parametrize(
    ("old", "new"),
    [("Table(1, 5, 9)", "Table(1, 6, 9)"), ('{"l", "m", "n"}', '{"l", "m"}'), ('Path("w")', 'Path("x")')],
)
def test_looks_into_values_of_any_type(old: str, new: str, place: Place) -> None:
    """A table that shows only a part of itself, and a set inside another value, count with all that is in them."""
    place.write("Snakefile", UNSTABLE)
    place.write("source.txt", "")
    place.write("s.py", "")
    before = place.signature()
    place.edit(old, new)

    assert place.signature() != before


# What it makes, and what it is made of inside a group -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "products"),
    [
        ('output: "{w}.out", "{w}.a", directory("{w}.d")', ("v.a", "v.d", "v.out")),
        ('output: temp("{w}.out")', ("v.out",)),
    ],
)
def test_names_its_outputs(output: str, products: Sequence[str], place: Place) -> None:
    """A job is known by all of its outputs, as Snakemake names them."""
    place.edit('output: "{w}.out", b="{w}.b"', output)

    assert [(work.rule, work.products) for work in place.works()] == [("one", products)]


def test_names_a_job_without_outputs_by_its_wildcards(tmp_path: Path) -> None:
    """Nothing else tells two such jobs of one rule apart."""
    job = SimpleNamespace(output=[], wildcards_dict={"b": "2", "a": "1"}, rule=SimpleNamespace(name="one"))

    assert products_of(job) == ('(no output) one {"a": "1", "b": "2"}',)
    assert Work("one", products_of(job), "").files == ()


GROUP = """
rule all:
    default_target: True
    input: "left", "right"
rule top:
    input: "in.txt"
    output: "top"
    group: "g"
    shell: "touch {output}"
rule side:
    input: "top"
    output: "{side,left|right}"
    group: "g"
    shell: "touch {output}"
"""


def group_works(place: Place) -> tuple[Work, ...]:
    """Read the workflow anew and return what its group makes."""
    with workflow_of(place.directory) as workflow:
        return works_of(workflow.dag.get_job_group(ready_jobs(workflow)["side"]))


def test_group_is_what_its_members_are(place: Place) -> None:
    """Each member of a group has a signature, though what one reads does not exist before another has made it."""
    place.write("Snakefile", GROUP)
    works = group_works(place)

    assert sorted(work.products for work in works) == [("left",), ("right",), ("top",)]
    assert all(work.signature for work in works)
    assert set(group_works(place)) == set(works)


def test_member_is_known_again_without_the_others(place: Place) -> None:
    """When a part of a group has ended, the rest of it is known again; by itself it is another job."""
    place.write("Snakefile", GROUP)
    works = group_works(place)
    products = [product for work in works for product in work.products]
    place.write("top", "")
    with workflow_of(place.directory) as workflow:
        jobs = ready_jobs(workflow)
        (rest,) = works_of(jobs["side"], products)
        (alone,) = works_of(jobs["side"])

    assert rest in works
    assert alone.products == rest.products
    assert alone.signature not in ("", rest.signature)


def test_group_changes_with_what_comes_from_outside(place: Place) -> None:
    """An input that no member makes counts for the member that reads it."""
    place.write("Snakefile", GROUP)
    before = set(group_works(place))
    place.age("in.txt")
    after = set(group_works(place))

    assert {work.products for work in before ^ after} == {("top",)}


# What cannot be told --------------------------------------------------------------------------------------------------


class Strange:
    """A job of a Snakemake that is built in another way: each attribute but a few is an error."""

    name = "one"
    output = ("out",)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    @property
    def rule(self) -> Strange:
        """A rule that is no better."""
        return self

    def is_group(self) -> bool:
        """It is a single job."""
        return False

    def __getattr__(self, name: str) -> Any:
        raise self._error


@pytest.mark.parametrize(
    "error", [AttributeError("x"), TypeError("x"), KeyError("x"), OSError("x"), RecursionError("x")]
)
def test_job_that_cannot_be_read_is_like_no_other(error: Exception) -> None:
    """Whatever is missing or fails leaves a job without a signature, and the run unharmed."""
    assert works_of(Strange(error)) == (Work("one", ("out",), ""),)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_end_of_the_program_is_no_error_of_a_job(error: BaseException) -> None:
    """Ctrl-C ends Snakemake in code of a workflow as well."""
    with pytest.raises(type(error)):
        works_of(Strange(error))


def test_job_without_its_input_is_like_no_other(place: Place) -> None:
    """An input that is not there has no version."""
    with workflow_of(place.directory) as workflow:
        job = ready_jobs(workflow)["one"]
        (place.directory / "in.txt").unlink()

        assert [work.signature for work in works_of(job)] == [""]


def test_code_of_the_workflow_may_fail(place: Place) -> None:
    """A parameter that fails when the job begins is an error of that job, which is reported elsewhere."""
    place.write("number", "1")
    place.edit("number=1", "number=lambda wildcards: 1 / int(open('number').read())")
    place.edit(CODE, "    run: pass")
    with workflow_of(place.directory) as workflow:
        job = ready_jobs(workflow)["one"]
        place.write("number", "0")

        assert [work.signature for work in works_of(job)] == [""]


AHEAD = """
rule first:
    output: "first.out", "first.log"
    shell: "touch {output}"

rule second:
    input: "first.out", "in.txt"
    output: "second.out"
    params: PARAMETERS
    resources: mem_mb=10
    shell: "cp {input} {output}"

rule all:
    input: "second.out"
    default_target: True
"""


def early_work(place: Place, parameters: str) -> tuple[Work, tuple[str, ...]]:
    """Return what a job makes whose input is still to be made, and from what, and the files for which it waits."""
    place.write("Snakefile", AHEAD.replace("PARAMETERS", parameters))
    with workflow_of(place.directory) as workflow:
        job = next(job for job in workflow.dag.jobs if job.rule.name == "second")
        awaited = made_before(workflow.dag, job, unfinished(workflow.dag, job))
        job._params = job._resources = None  # noqa: SLF001 - as the scheduler has it
        (work,) = works_of(job, awaited, parameters_of)
        assert (job._params, job._resources) == (None, None)  # noqa: SLF001 - nothing of it was touched
    return work, awaited


@pytest.mark.parametrize(
    "parameters", ["number=1, name='x'", "made=lambda wildcards: {'b': 1}", "made=lambda wildcards, output: 1"]
)
def test_job_is_known_before_its_input_is_there(place: Place, parameters: str) -> None:
    """It is the same job later, whichever version of the input was made meanwhile; that of another one counts."""
    early, awaited = early_work(place, parameters)
    place.write("first.out", "made meanwhile")
    place.write("first.log", "")
    with workflow_of(place.directory) as workflow:
        job = ready_jobs(workflow)["second"]
        assert works_of(job, awaited) == (early,)
        place.age("in.txt")
        assert works_of(job, awaited) != (early,)

    assert awaited == ("first.log", "first.out")
    assert early.signature


@pytest.mark.parametrize(
    "parameters", ["files=lambda wildcards, input: len(input)", "mb=lambda wildcards, resources: resources.mem_mb"]
)
def test_job_with_a_parameter_that_is_not_known_yet_is_like_no_other(place: Place, parameters: str) -> None:
    """Nobody can tell what it is made from before its input is there."""
    early, _ = early_work(place, f"number=1, {parameters}")

    assert early == Work("second", ("second.out",), "")
