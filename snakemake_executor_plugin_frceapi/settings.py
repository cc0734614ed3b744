"""The settings of the executor (``--frceapi-…``), and the checks of their values that need no network.

Snakemake reads the types of the fields at run time: they are written out, and as ``Optional``.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from snakemake_interface_common.exceptions import ApiError
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

from snakemake_executor_plugin_frceapi.environment import parse_export
from snakemake_executor_plugin_frceapi.errors import SettingsError

DEFAULT_URL = "https://hpcapi.ncifcrf.gov/hpcapi"

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=True,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    pass_group_args=True,
)


def _setting(default: Any, text: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": text, "required": False, **metadata})


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """All settings of the executor; the command line shows their help texts.

    Raises:
        ApiError: a value cannot work; the message names the flag, the value and what it should be. Of Snakemake's
            exceptions this is the one that it shows as one line.
    """

    url: str = _setting(
        DEFAULT_URL,
        "Base URL of the API. Plain http only for a loopback address, such as that of the sandbox.",
        env_var=True,
        metavar="URL",
    )
    auth: str = _setting(
        "kerberos",
        "How to prove who you are: 'kerberos' (a ticket from kinit), or 'none' for a loopback address; a loopback "
        "address never gets a ticket unless its URL is https.",
        choices=["kerberos", "none"],
    )
    target_name: Optional[str] = _setting(
        None,
        "Kerberos service principal of the API, such as 'HTTP@hpcapi.ncifcrf.gov', where DNS does not lead to it.",
        metavar="PRINCIPAL",
    )
    ca_bundle: Optional[Path] = _setting(
        None,
        "File with the certificates to trust. Without it REQUESTS_CA_BUNDLE, then the system's store, then certifi.",
        metavar="FILE",
    )
    number_format: str = _setting("integer", "How numbers are written in a job request.", choices=["integer", "string"])
    memory_unit: Optional[str] = _setting(
        None, "Unit to write behind memory in a job request; without it a bare number of MB.", choices=["K", "M", "G"]
    )
    partition: Optional[str] = _setting(
        None,
        "Partition of the jobs whose rule names none (resource slurm_partition or frceapi_partition); without it the "
        "one that fits best in the partition table.",
        metavar="NAME",
    )
    partition_config: Optional[str] = _setting(
        None,
        "YAML file with the partitions and their caps, as for --slurm-partition-config, or 'frce' for FRCE's own. "
        "Without it SNAKEMAKE_SLURM_PARTITIONS; without that FRCE's own for FRCE, and none for another URL.",
        metavar="FILE",
    )
    default_mem_mb_per_cpu: int = _setting(
        4000, "Memory per CPU in MB for rules that ask for none; the cluster's own default is 20 GB.", metavar="MB"
    )
    default_runtime: Optional[int] = _setting(
        None,
        "Time limit in minutes for rules that ask for none; without it the partition's default.",
        metavar="MINUTES",
    )
    export: Optional[str] = _setting(
        None,
        "Which variables of this environment jobs get, as sbatch --export has it: ALL, NONE, or names and NAME=value "
        "with commas between them. Variables declared with envvars: always go. [default: ALL; NONE without a shared "
        "file system]",
        metavar="LIST",
    )
    secrets_in_script: bool = _setting(
        False,
        "Without a shared file system: write secret values, such as the keys of a storage, into the text of the job "
        "scripts. The cluster's administrators can read them there, and Slurm may keep them.",
    )
    job_setup: str = _setting(
        "", "Shell lines to run in each job before its command, such as 'module load R'.", metavar="LINES"
    )
    scratch: Optional[Path] = _setting(
        None,
        "Directory on the nodes in which each job gets a TMPDIR of its own, which is removed at the job's end.",
        metavar="DIR",
    )
    logdir: Optional[Path] = _setting(
        None,
        "Directory of the job logs. [default: .snakemake/frceapi_logs; without a shared file system "
        "~/.snakemake/frceapi_logs on the cluster]",
        metavar="DIR",
    )
    keep_successful_logs: bool = _setting(False, "Keep the logs of jobs that succeeded.")
    delete_logfiles_older_than: int = _setting(
        10, "Remove job logs of former runs that are older than this many days; 0 keeps them.", metavar="DAYS"
    )
    init_seconds_before_status_checks: int = _setting(
        5, "Seconds before the first status request after a submission; ends are seen at once.", metavar="SECONDS"
    )
    max_connections: int = _setting(4, "How many jobs are submitted at the same time.", metavar="N")
    lookahead: int = _setting(
        20,
        "How many jobs may be submitted ahead of their inputs, to wait in the queue for those that make them; 0: none.",
        metavar="N",
    )
    wait: bool = _setting(
        False,
        "With --immediate-submit: stay until all jobs have ended, and tell what became of them.",
    )
    efficiency_report: bool = _setting(False, "Write a table of what each job used of what it asked for, at the end.")
    efficiency_report_path: Optional[Path] = _setting(
        None,
        "File of that table. [default: efficiency_report_<time>.csv in the working directory]",
        metavar="FILE",
    )
    efficiency_threshold: float = _setting(
        0.8,
        "With the table, rules are named whose jobs used less than this part of their CPUs or memory.",
        metavar="PART",
    )
    timeline: Optional[Path] = _setting(
        None, "Write a page with every job from its submission to its end, for a browser.", metavar="FILE"
    )
    outage_tolerance: float = _setting(
        24.0,
        "Hours without an answer of the API after which Snakemake gives up; the jobs are left alone.",
        metavar="HOURS",
    )
    on_exit: str = _setting(
        "cancel",
        "What happens to the jobs at Ctrl-C, SIGTERM and SIGHUP: 'cancel' them, or 'leave' them to run on.",
        choices=["cancel", "leave"],
    )
    cancel_timeout: int = _setting(
        20, "Seconds to wait for cancelled jobs to end before saying which are left.", metavar="SECONDS"
    )
    marker_grace: float = _setting(
        90.0,
        "Seconds until a file that a job wrote is surely visible here (attribute caches of NFS).",
        metavar="SECONDS",
    )
    requeue_grace: float = _setting(
        600.0,
        "Seconds for Slurm to start a job again after a node failure or a preemption before it counts as failed.",
        metavar="SECONDS",
    )
    unknown_grace: float = _setting(
        60.0,
        "Seconds to look for a trace of a submission that got no answer before it is sent again under the same token.",
        metavar="SECONDS",
    )

    def __post_init__(self) -> None:
        self._check_number("default_mem_mb_per_cpu", 1)
        self._check_number("default_runtime", 1)
        self._check_number("max_connections", 1, 64)
        for name in ("init_seconds_before_status_checks", "cancel_timeout", "delete_logfiles_older_than", "lookahead"):
            self._check_number(name, 0)
        for name in ("outage_tolerance", "marker_grace", "requeue_grace", "unknown_grace"):
            self._check_number(name, 0)
        self._check_number("efficiency_threshold", 0, 1)
        if self.scratch is not None and not Path(self.scratch).is_absolute():
            raise self._error("scratch", "an absolute path, because each node makes its directories there")
        self._check_choice("auth", "number_format", "memory_unit", "on_exit")
        self._check_text(
            "partition", r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}", "one name of letters, digits, '_', '.', '-'"
        )
        self._check_text("target_name", r"[A-Za-z0-9]+@[A-Za-z0-9.-]+", "SERVICE@HOST, such as HTTP@api.example.org")

        try:
            parse_export(self.export or "NONE")
        except SettingsError as error:
            raise ApiError(str(error)) from None

    def _error(self, name: str, expected: str) -> ApiError:
        flag = "--frceapi-" + name.replace("_", "-")
        value = getattr(self, name)
        shown = str(value) if isinstance(value, Path) else value
        return ApiError(f"{flag} is {shown!r}; it must be {expected}.")

    def _check_number(self, name: str, least: int, most: int | None = None) -> None:
        value = getattr(self, name)
        if value is not None and not (least <= value and (most is None or value <= most)):
            raise self._error(name, f"at least {least}" + (f" and at most {most}" if most is not None else ""))

    def _check_choice(self, *names: str) -> None:
        for name in names:
            choices = self.__dataclass_fields__[name].metadata["choices"]
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise self._error(name, " or ".join(map(repr, choices)))

    def _check_text(self, name: str, pattern: str, expected: str) -> None:
        value = getattr(self, name)
        if value is not None and not re.fullmatch(pattern, value):
            raise self._error(name, expected)
