"""Jobs that share nothing with Snakemake but a storage: on the node its working directory, home and ticket are gone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cluster.desk import Desk
from tests.cluster.rig import running_rig
from tests.cluster.slurm import SlurmOptions
from tests.cluster.test_workflows import EXAMPLE, missing_for_example
from tests.object_storage import CREDENTIALS, ObjectStorage, running_object_storage

_LONGEST_SECONDS = 900.0
_SNAKEFILE = """
    configfile: "config.yaml"

    rule all:
        input: "sum.txt"

    rule number:
        output: "number/{n}.txt"
        shell: "echo $(({wildcards.n} + {config[more]})) >{output}"

    rule total:
        output: "sum.txt"
        input: expand("number/{n}.txt", n=range(2))
        script: "scripts/total.py"
"""
_SCRIPT = """
    import os
    from pathlib import Path

    total = sum(int(Path(name).read_text()) for name in snakemake.input)
    seen = os.listdir(HIDDEN)
    home = os.environ.get("HOME_OF_MINE", "none")
    Path(snakemake.output[0]).write_text(f"{total} {seen} {home} {Path.cwd().parent}\\n")
"""


class SeparateDesk(Desk):
    """A desk of which the node sees an empty directory only, and on the node a home of its own.

    Attributes:
        node: a directory that only jobs use, for their credentials, logs and working directories.
        storage: what both can reach.
    """

    node: Path
    storage: ObjectStorage

    def settle(self, node: Path, storage: ObjectStorage) -> None:
        """Put credentials here and there, and let the runs share nothing but the storage."""
        self.node, self.storage = node, storage
        for home in (node, self.directory.parent / "home"):
            (home / "credentials").write_text(CREDENTIALS, encoding="ascii")
        self.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(self.directory.parent / "home" / "credentials")
        self.environment["HOME_OF_MINE"] = str(self.directory)
        # The nodes have programs where this machine has them; Snakemake and what the workflow runs are among them.
        setup = [
            f"export AWS_SHARED_CREDENTIALS_FILE={node}/credentials",
            f"export PATH={Path(sys.executable).parent}:$PATH",
        ]
        options = ["--frceapi-scratch", str(node), "--frceapi-logdir", str(node / "logs")]
        self.defaults += [*storage.arguments, *options, "--frceapi-job-setup", "\n".join(setup)]
        subprocess.run(["git", "init", "--quiet"], cwd=self.directory, check=True)


@pytest.fixture
def separate_desk(tmp_path: Path) -> Iterator[SeparateDesk]:
    """A desk with a ticket, at a cluster whose node does not see it."""
    if missing := [name for name in ("moto", "flask_cors", "snakemake_storage_plugin_s3") if not find_spec(name)]:
        pytest.skip(f"{', '.join(missing)} cannot be imported; type: scripts/setup dev")
    place, node = tmp_path / "desk", tmp_path / "node"
    for directory in (place, node):
        directory.mkdir()
    with running_object_storage() as storage, running_rig(SlurmOptions(hidden=place)) as rig:
        made = SeparateDesk(place, rig)
        made.kinit()
        made.settle(node, storage)
        yield made
        made.end_runs()
        rig.slurm.cancel_all()


def _write_workflow(desk: Desk) -> None:
    desk.write("Snakefile", _SNAKEFILE)
    desk.write("config.yaml", "more: 20")
    (desk.directory / "scripts").mkdir()
    desk.write("scripts/total.py", _SCRIPT.replace("HIDDEN", repr(str(desk.directory.parent))))


def test_jobs_share_nothing_but_the_storage(separate_desk: SeparateDesk) -> None:
    """Sources, inputs and outputs travel through the storage; jobs see nothing of the desk and leave nothing behind."""
    desk = separate_desk
    _write_workflow(desk)
    result = desk.run("--frceapi-keep-successful-logs")

    assert result.exit_code == 0, result.output
    seen, _, scratch = desk.storage.read("sum.txt").decode().strip().rpartition(" ")
    assert seen == "41 [] none"
    assert Path(scratch) == desk.node
    assert desk.storage.names() == ["number/0.txt", "number/1.txt", "sum.txt"]
    assert sorted(path.name for path in desk.node.iterdir()) == ["credentials", "logs"]
    assert len(list((desk.node / "logs").iterdir())) == len(desk.listing()) == 3
    assert "1 of 1 steps" in next((desk.node / "logs").iterdir()).read_text()
    assert not list((desk.directory / ".snakemake").rglob("control"))


def test_jobs_are_cancelled_from_within_the_cluster(separate_desk: SeparateDesk) -> None:
    """At Ctrl-C the jobs are ended by one that runs scancel there, and leave no directory behind."""
    desk = separate_desk
    _write_workflow(desk)
    running = desk.start("--frceapi-job-setup", "sleep 600")
    desk.wait_for(lambda: "RUNNING" in _states(desk), "a job that runs")
    running.interrupt()
    result = running.wait()

    assert result.exit_code != 0
    assert "All of them have ended" in result.output
    desk.rig.slurm.cancel_all()
    assert _states(desk).count("CANCELLED") == len(_states(desk)) - 1
    assert not list(desk.node.glob("frceapi-*"))


def _states(desk: Desk) -> list[str]:
    return [row["state"] for row in desk.listing().values()]


@pytest.mark.long
def test_example_with_nothing_shared(separate_desk: SeparateDesk, tmp_path: Path) -> None:
    """The example finds its two crossovers; its data lie in the storage, its results are found there."""
    if missing := missing_for_example():
        pytest.skip(missing)
    desk = separate_desk
    shutil.copytree(EXAMPLE, desk.directory, ignore=shutil.ignore_patterns(".snakemake", "results"), dirs_exist_ok=True)
    subprocess.run(["apt-get", "download", "gasic-examples"], cwd=tmp_path, check=True, capture_output=True)
    (package,) = tmp_path.glob("gasic-examples_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "data"], check=True)
    root = tmp_path / "data" / "usr/share/doc/gasic/examples"
    for path in filter(Path.is_file, root.rglob("*")):
        desk.storage.put(f"data/{path.relative_to(root)}", path.read_bytes())
    profile = ["--workflow-profile", "profiles/frce", "--config", "data=data", "--seconds-between-status-checks", "2"]
    first = desk.start(*profile).wait(_LONGEST_SECONDS)
    second = desk.run(*profile)

    assert first.exit_code == 0, first.output
    assert len(desk.storage.read("results/crossovers.tsv").splitlines()) == 1 + 2
    assert desk.storage.read("results/mosaic.png").startswith(b"\x89PNG")
    assert second.exit_code == 0
    assert "Nothing to be done" in second.output
    assert [path.name for path in desk.node.iterdir() if path.is_dir()] == ["logs"]
