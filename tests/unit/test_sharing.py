"""Tests of what `--shared-fs-usage` says, and of what cannot work without the rest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.settings.types import DeploymentMethod
from snakemake_interface_executor_plugins.settings import SharedFSUsage

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.settings import ExecutorSettings
from snakemake_executor_plugin_frceapi.sharing import Places, Sharing, check_settings, read_sharing, sharing_of

ALL = frozenset(usage.item_to_choice() for usage in SharedFSUsage)
NOTHING = Sharing(run_directory=False, workdir=False, software=False)


@pytest.mark.parametrize(
    ("usages", "sharing"),
    [
        (ALL, Sharing()),
        (set(), NOTHING),
        ({"source-cache"}, NOTHING),
        ({"software-deployment-cache"}, NOTHING),
        ({"sources"}, Sharing(run_directory=False, workdir=True, software=False)),
        ({"sources", "input-output"}, Sharing(run_directory=False, workdir=True, software=False)),
        ({"sources", "storage-local-copies"}, Sharing(run_directory=False, workdir=True, software=False)),
        ({"software-deployment"}, Sharing(run_directory=False, workdir=False, software=True)),
        ({"persistence", "sources"}, Sharing(run_directory=True, workdir=True, software=False)),
        ({"persistence", "sources", "software-deployment", "source-cache"}, Sharing()),
    ],
)
def test_reads_what_is_shared(usages: set[str], sharing: Sharing) -> None:
    """Persistence means the run directory, sources the working directory, software-deployment the same Python."""
    assert sharing_of(usages, Places()) == sharing


@pytest.mark.parametrize(
    ("usages", "places", "words"),
    [
        ({"persistence"}, Places(), "has 'persistence' and lacks 'sources'"),
        ({"input-output"}, Places(), "add 'sources', or take 'input-output' out"),
        ({"persistence", "input-output"}, Places(), "has 'input-output' and 'persistence'"),
        (
            {"storage-local-copies"},
            Places(local_copies=".snakemake/storage"),
            "--remote-job-local-storage-prefix is .snakemake/storage",
        ),
        ({"software-deployment"}, Places(software={"--conda-prefix": None}), "--conda-prefix is not set"),
        (
            {"software-deployment"},
            Places(software={"--apptainer-prefix": "sif"}),
            "give --apptainer-prefix an absolute",
        ),
    ],
)
def test_refuses_what_contradicts_itself(usages: set[str], places: Places, words: str) -> None:
    """A message names the value and what to change."""
    with pytest.raises(SettingsError, match=words):
        sharing_of(usages, places)


@pytest.mark.parametrize("prefix", ["/lscratch", "$TMPDIR/copies"])
def test_takes_places_that_nodes_have(prefix: str) -> None:
    """An absolute path, or one of the node's own, needs no common working directory."""
    places = Places(local_copies=prefix, software={"--conda-prefix": "/software"})

    assert not sharing_of({"storage-local-copies", "software-deployment"}, places).workdir


@given(st.sets(st.sampled_from(sorted(ALL))))
def test_reads_every_combination_or_refuses_it(usages: set[str]) -> None:
    """A run directory, and inputs that are shared, are only ever in a working directory that is."""
    try:
        sharing = sharing_of(usages, Places(local_copies="/copies"))
    except SettingsError:
        assert "sources" not in usages
    else:
        assert sharing.run_directory == ("persistence" in usages)
        assert sharing.workdir >= sharing.run_directory
        assert sharing.workdir or "input-output" not in usages


@pytest.mark.parametrize(("method", "option"), [("CONDA", "--conda-prefix"), ("APPTAINER", "--apptainer-prefix")])
def test_reads_snakemakes_own_settings(method: str, option: str) -> None:
    """Only what is deployed needs a place."""
    workflow = SimpleNamespace(
        storage_settings=SimpleNamespace(
            shared_fs_usage={SharedFSUsage.SOFTWARE_DEPLOYMENT}, remote_job_local_storage_prefix=Path("copies")
        ),
        deployment_settings=SimpleNamespace(deployment_method=set(), conda_prefix=None, apptainer_prefix=None),
    )
    assert read_sharing(workflow).software
    workflow.deployment_settings.deployment_method = {DeploymentMethod[method]}

    with pytest.raises(SettingsError, match=f"{option} is not set"):
        read_sharing(workflow)


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"lookahead": 3}, "--frceapi-lookahead 3"),
        ({"on_exit": "leave"}, "--frceapi-on-exit leave"),
        ({"export": "A,ALL"}, "--frceapi-export A,ALL"),
        ({"marker_grace": 5.0}, "--frceapi-marker-grace"),
        ({"delete_logfiles_older_than": 0}, "--frceapi-delete-logfiles-older-than"),
        ({"logdir": Path("logs")}, "--frceapi-logdir logs"),
    ],
)
def test_refuses_settings_that_need_files(settings: dict[str, Any], flag: str) -> None:
    """Each is named, with the reason."""
    with pytest.raises(SettingsError, match=f"^{flag} cannot work without a shared file system: .+;") as caught:
        check_settings(ExecutorSettings(**settings), submits_at_once=False)

    assert "\n" not in str(caught.value)


def test_refuses_to_submit_at_once() -> None:
    """The sources would be gone before the jobs begin."""
    with pytest.raises(SettingsError, match="--immediate-submit cannot work"):
        check_settings(ExecutorSettings(), submits_at_once=True)


@pytest.mark.parametrize("settings", [{}, {"export": "A=b"}, {"logdir": Path("~/logs")}, {"logdir": Path("/logs")}])
def test_takes_settings_that_need_none(settings: dict[str, Any]) -> None:
    """What can be said in a script works."""
    check_settings(ExecutorSettings(**settings), submits_at_once=False)
