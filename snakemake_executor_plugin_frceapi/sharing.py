"""What Snakemake and its jobs share, by the names of ``--shared-fs-usage``, and what cannot work without the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from snakemake_executor_plugin_frceapi.environment import parse_export
from snakemake_executor_plugin_frceapi.errors import SettingsError

LOG_DIRECTORY = "~/.snakemake/frceapi_logs"
"""Where jobs without a run directory write their logs, in the user's home on the cluster."""

_ADVICE = "take that out, or share a file system with the jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What Snakemake and its jobs share.

    Attributes:
        run_directory: the directory ``.snakemake``: jobs are told what to do, and tell what became of them, by files.
        workdir: whether jobs run in Snakemake's working directory; otherwise each has one of its own.
        software: Snakemake's Python and the software that it deploys.
    """

    run_directory: bool = True
    workdir: bool = True
    software: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where files are that jobs share without sharing the working directory; each is as its option gives it.

    Attributes:
        local_copies: ``--remote-job-local-storage-prefix``.
        software: ``--conda-prefix`` and ``--apptainer-prefix``, of what is deployed: the option, and its value or None.
    """

    local_copies: str = ".snakemake/storage"
    software: Mapping[str, str | None] = field(default_factory=dict)


def read_sharing(workflow: Any) -> Sharing:
    """Return what is shared as Snakemake's own settings say.

    Raises:
        SettingsError: they contradict each other.
    """
    storage, deployment = workflow.storage_settings, workflow.deployment_settings
    methods = {method.name for method in deployment.deployment_method}
    prefixes = {"CONDA": ("--conda-prefix", deployment.conda_prefix)}
    prefixes["APPTAINER"] = ("--apptainer-prefix", deployment.apptainer_prefix)
    software = {name: str(path) if path else None for method, (name, path) in prefixes.items() if method in methods}
    places = Places(local_copies=str(storage.remote_job_local_storage_prefix), software=software)
    return sharing_of({usage.item_to_choice() for usage in storage.shared_fs_usage}, places)


def sharing_of(usages: Collection[str], places: Places) -> Sharing:
    """Return what is shared.

    Args:
        usages: the values of ``--shared-fs-usage``; none of them stands for ``none``.
        places: where some of it is.

    Raises:
        SettingsError: the values contradict each other.
    """
    in_workdir = {"persistence", "input-output"} & set(usages)
    if in_workdir and "sources" not in usages:
        named = " and ".join(f"'{usage}'" for usage in sorted(in_workdir))
        raise SettingsError(
            f"--shared-fs-usage has {named} and lacks 'sources': each job would unpack the sources over those in the "
            f"working directory, which other jobs read; add 'sources', or take {named} out."
        )
    if "sources" not in usages:
        for option, value in _needed(usages, places):
            raise SettingsError(
                f"{option} is {value or 'not set'}, but jobs do not share the working directory; give {option} an "
                "absolute path that the nodes see."
            )
    return Sharing(
        run_directory="persistence" in usages, workdir="sources" in usages, software="software-deployment" in usages
    )


def _needed(usages: Collection[str], places: Places) -> Iterator[tuple[str, str | None]]:
    """Yield the options, and their values, of what is shared and lies in the working directory."""
    if "storage-local-copies" in usages and not places.local_copies.startswith(("/", "$")):
        yield "--remote-job-local-storage-prefix", places.local_copies
    if "software-deployment" in usages:
        yield from ((name, value) for name, value in places.software.items() if not (value or "").startswith("/"))


def check_settings(settings: Any, *, submits_at_once: bool) -> None:
    """Refuse what cannot work without a run directory.

    Args:
        settings: the executor's settings.
        submits_at_once: whether ``--immediate-submit`` is given.

    Raises:
        SettingsError: a setting cannot work.
    """
    for flag, why in _refused(settings, submits_at_once=submits_at_once):
        raise SettingsError(f"{flag} cannot work without a shared file system: {why}; {_ADVICE}.")


def _refused(settings: Any, *, submits_at_once: bool) -> Iterator[tuple[str, str]]:
    defaults = type(settings)()
    if settings.lookahead not in {0, defaults.lookahead}:
        yield f"--frceapi-lookahead {settings.lookahead}", "a job that went ahead would wait for a file"
    if settings.on_exit == "leave":
        yield "--frceapi-on-exit leave", "Snakemake removes the sources from the storage as it ends"
    if submits_at_once:
        yield "--immediate-submit", "Snakemake removes the sources from the storage as it ends"
    if parse_export(settings.export or "NONE").everything:
        yield f"--frceapi-export {settings.export}", "a request has no room for it; name the variables that jobs need"
    for name in ("marker_grace", "delete_logfiles_older_than"):
        if getattr(settings, name) != getattr(defaults, name):
            yield f"--frceapi-{name.replace('_', '-')}", "the files that it is about are not seen here"
    if settings.logdir is not None and not str(settings.logdir).startswith(("/", "~/")):
        yield f"--frceapi-logdir {settings.logdir}", "it is a directory of the cluster, '/…' or '~/…'"
