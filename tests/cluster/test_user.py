"""A run of somebody who is not root, from submission to Slurm; all other tests of the cluster run as root."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.desk import Desk
from tests.cluster.rig import as_user, running_rig
from tests.snakemake_process import LONGEST_RUN_SECONDS

_USER = "nobody"
"""An account that every Debian has, without rights to anything."""

_SNAKEFILE = """
    rule one:
        output: "one.txt"
        shell: "id -un >{output}"
"""


@pytest.fixture
def users_desk() -> Iterator[Desk]:
    """A desk of that user, at a cluster of its own."""
    # By a shell, because setpriv still has the right to enter any directory when it starts its command.
    probe = [*as_user(_USER), "sh", "-c", 'exec "$0" -c "import snakemake_executor_plugin_frceapi"', sys.executable]
    if subprocess.run(probe, cwd="/", capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the user {_USER} cannot run {sys.executable}: install Python where everybody can reach it")
    with running_rig(user=_USER) as rig, tempfile.TemporaryDirectory(prefix="frceapi-desk-") as place:
        desk = Desk(Path(place), rig)
        desk.kinit()
        desk.write("Snakefile", _SNAKEFILE)
        for path in [Path(place), *Path(place).rglob("*")]:
            shutil.chown(path, _USER)
        yield desk
        rig.slurm.cancel_all()


def run_as_user(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake at the desk as its user."""
    command = [sys.executable, "-m", "snakemake", "--nocolor", "--executor", "frceapi", "--jobs", "2", *arguments]
    return subprocess.run(
        [*as_user(_USER), *command, "--frceapi-partition", "norm", "--frceapi-default-mem-mb-per-cpu", "400"],
        cwd=desk.directory,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_RUN_SECONDS,
    )


def test_run_without_root(users_desk: Desk) -> None:
    """The job is the user's own in Slurm, and what it leaves belongs to the user."""
    result = run_as_user(users_desk)

    assert result.returncode == 0, result.stderr
    assert users_desk.read("one.txt") == f"{_USER}\n"
    assert users_desk.rig.slurm.show_job("1")["UserId"].startswith(f"{_USER}(")
    owners = {path.owner() for path in (users_desk.directory / ".snakemake").rglob("*")}
    assert owners == {_USER}
