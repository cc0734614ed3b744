"""Puts the parts of a run together, from Snakemake's settings; the only place that knows them all."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.admission import Admission
from snakemake_executor_plugin_frceapi.ahead import Horizon, Vanguard
from snakemake_executor_plugin_frceapi.call_log import CallLog
from snakemake_executor_plugin_frceapi.cancel import Canceller
from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.convoy import Convoy
from snakemake_executor_plugin_frceapi.courier import Courier
from snakemake_executor_plugin_frceapi.departure import Departure
from snakemake_executor_plugin_frceapi.environment import carried, encode, path_to_prepend, path_with, written_out
from snakemake_executor_plugin_frceapi.errors import TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.events import Ends
from snakemake_executor_plugin_frceapi.following import Following
from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.identity import products_of
from snakemake_executor_plugin_frceapi.inline import InlineScript
from snakemake_executor_plugin_frceapi.inlining import InlinePreparation
from snakemake_executor_plugin_frceapi.job import JobRequest, Listing
from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.journal import Journal
from snakemake_executor_plugin_frceapi.keeper import TicketKeeper
from snakemake_executor_plugin_frceapi.logs import remove_old
from snakemake_executor_plugin_frceapi.lookahead import NotAhead
from snakemake_executor_plugin_frceapi.news import NewsQueue
from snakemake_executor_plugin_frceapi.partitions.source import applicable_table
from snakemake_executor_plugin_frceapi.policy import Policy
from snakemake_executor_plugin_frceapi.ports import Carrier, Narrator
from snakemake_executor_plugin_frceapi.preparation import Preparation, Preparing, ReadyJob
from snakemake_executor_plugin_frceapi.recovery import Legacy, take_over
from snakemake_executor_plugin_frceapi.resources import RequestDefaults
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.sharing import LOG_DIRECTORY, Sharing
from snakemake_executor_plugin_frceapi.spawning import Spawning
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tracker import Graces
from snakemake_executor_plugin_frceapi.unshared import UnsharedSpool, WholeListings
from snakemake_executor_plugin_frceapi.wire import Encoding, NumberFormat, encode_request

SHORTEST_INTERVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the parts need to know of the Snakemake that they work for.

    Attributes:
        settings: the executor's settings.
        persistence: Snakemake's directory for its own files, such as ``.snakemake``.
        workdir: Snakemake's working directory.
        sharing: what jobs share with Snakemake.
        envvars: variables that the workflow asks for.
        seconds_between_status_checks: as ``--seconds-between-status-checks``.
        max_status_checks_per_second: as ``--max-status-checks-per-second``.
        spawning: makes ready jobs of Snakemake's, given what puts content into a file that jobs see.
        ahead: which jobs may be submitted ahead of their inputs.
        is_immediate: whether all jobs are submitted at once, as with ``--immediate-submit``.
        show_error: shows why a job failed, given Snakemake's own record of it, a message, and its logs.
        detail: receives lines for those who look for what is wrong.
    """

    settings: Any
    persistence: Path
    workdir: Path
    sharing: Sharing
    envvars: Mapping[str, str]
    seconds_between_status_checks: float
    max_status_checks_per_second: float
    spawning: Callable[[Callable[[str, bytes], Path] | None], Spawning]
    ahead: Horizon
    is_immediate: bool
    show_error: Callable[..., None]
    detail: Callable[[str], object]

    @property
    def stays(self) -> bool:
        """Whether Snakemake is there until all jobs have ended."""
        return not self.is_immediate or self.settings.wait

    @property
    def python(self) -> Path | None:
        """The interpreter that jobs use, None where each node has its own."""
        return Path(sys.executable) if self.sharing.software else None

    @property
    def log_root(self) -> Path:
        """Directory of all job logs, or of what there is to say of them where they are on the cluster."""
        logdir = self.settings.logdir if self.sharing.run_directory else None
        return Path(logdir or self.persistence / "frceapi_logs").absolute()


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one run that the executor uses itself.

    Attributes:
        spool: the run directory.
        spawning: makes ready jobs of Snakemake's.
        preparation: makes submissions of ready jobs.
        legacy: what earlier runs have left.
        admission: lets jobs into the run.
        run: the jobs.
        departure: ends the run.
        vanguard: submits jobs ahead of their inputs.
        convoy: submits all jobs at once, None where Snakemake hands them over as they become ready.
        refresh: makes sure that the environment file is there before jobs are submitted.
        close: ends what goes on beside the run.
        ends: tells logger plugins how jobs have ended.
    """

    spool: Spool
    spawning: Spawning
    preparation: Preparing
    legacy: Legacy
    admission: Admission
    run: Run
    departure: Departure
    vanguard: Vanguard
    convoy: Convoy | None
    refresh: Callable[[], object]
    close: Callable[[], None]
    ends: Ends = field(default_factory=Ends)


def assemble(around: Surroundings, reporter: Narrator) -> Assembly:
    """Put a run together and ask the service once whether it can be used.

    Raises:
        FrceapiError: a setting is wrong, the run directory cannot be used, or the service cannot.
    """
    courier = Courier(config := client_config(around.settings))
    try:
        return _assemble(around, reporter, config, courier)
    except BaseException:
        courier.close()
        raise


def _assemble(around: Surroundings, reporter: Narrator, config: ClientConfig, courier: Courier) -> Assembly:
    settings = around.settings
    defaults = request_defaults(settings)
    variables = _variables(around)
    listing = _first_listing(courier)
    keeper = _keeper(config, reporter)
    spool, service = _ways(around, CallLog(courier, around.detail))
    journal, legacy = take_over(spool)
    legacy.note_listing(listing)
    if not spool.has_jobs():
        spool.remove_shared()
    if spool.is_shared:
        remove_old(around.log_root, settings.delete_logfiles_older_than, time.time())
    encoding = request_encoding(settings)
    news = NewsQueue(reporter)
    run = Run(service, spool, journal, _policy(around), news if around.is_immediate else reporter)
    run.note_earlier(listing)
    name = journal.path.stem
    content = encode(variables) if spool.is_shared else b""
    preparation: Preparing
    if spool.is_shared:
        shared = _run_settings(around, variables, spool.share("env", content) if content else None)
        preparation = Preparation(spool, defaults, encoding, around.log_root, shared, run.hold, spool.heartbeat(name))
    else:
        inline = _inline_script(around, variables)
        preparation = InlinePreparation(defaults, encoding, inline, around.log_root / "jobs.tsv")
    canceller = Canceller(service, spool, partial(_encode, encoding), settings.cancel_timeout)
    spawning = around.spawning(spool.share if spool.is_shared else None)
    vanguard = Vanguard(around.ahead, name, partial(_early, legacy, spawning), preparation, run, spool, canceller)
    admission = Admission(legacy, preparation, run, canceller, vanguard.let_begin, reporter.say)
    following = Following(around.ahead.workflow, run, legacy, spool, reporter.progress, around.show_error)
    return Assembly(
        spool,
        spawning,
        preparation,
        legacy,
        admission,
        run,
        Departure(run, canceller, spool, reporter.warn, leave=settings.on_exit == "leave"),
        vanguard,
        _convoy(around, preparation, admission, run, news, following),
        (lambda: spool.share("env", content)) if content else (lambda: None),
        partial(_close, keeper, courier, journal),
    )


def request_defaults(settings: Any) -> RequestDefaults:
    """Return what is asked for a job whose rule does not say.

    Raises:
        SettingsError: the partition file cannot be used.
    """
    table = applicable_table(settings.partition_config, os.environ, settings.url)
    return RequestDefaults(settings.partition, settings.default_mem_mb_per_cpu, settings.default_runtime, table)


def request_encoding(settings: Any) -> Encoding:
    """Return how a job request is written."""
    return Encoding(NumberFormat(settings.number_format), settings.memory_unit)


def _ways(around: Surroundings, service: Carrier) -> tuple[Spool, Carrier]:
    """Return the run directory and the service as fits what jobs share with Snakemake."""
    root = around.persistence.absolute()
    if around.sharing.run_directory:
        return Spool(root / "frceapi"), service
    return UnsharedSpool(root / "frceapi-unshared"), WholeListings(service)


def _keeper(config: ClientConfig, reporter: Narrator) -> TicketKeeper | None:
    keeper = TicketKeeper(reporter.say) if config.auth == "kerberos" else None
    if keeper:
        keeper.start()
    return keeper


def _encode(encoding: Encoding, request: JobRequest, script: str) -> bytes:
    return encode_request(request, script, encoding)


def _early(
    legacy: Legacy, spawning: Spawning, job: Any, resources: Mapping[str, Any], awaited: tuple[str, ...]
) -> ReadyJob:
    """Tell what is known of a job that may go ahead."""
    if legacy.knows({product for member in members_of(job) for product in products_of(member)}):
        raise NotAhead("an earlier run has submitted it")
    return spawning.early(job, resources, awaited)


def _convoy(
    around: Surroundings, preparation: Preparing, admission: Admission, run: Run, news: NewsQueue, following: Following
) -> Convoy | None:
    if not (around.is_immediate and isinstance(preparation, Preparation)):
        return None
    return Convoy(run, preparation.request, admission.send, admission.drop, news, following, stays=around.stays)


def _close(keeper: TicketKeeper | None, courier: Courier, journal: Journal) -> None:
    if keeper:
        keeper.stop()
    courier.close()
    journal.close()


def _first_listing(courier: Courier) -> Listing:
    try:
        return courier.query_status()
    except TicketFault:
        raise
    except TransientFault as fault:
        raise TransientFault(f"{fault}; nothing was submitted, start Snakemake again later") from None


def client_config(settings: Any) -> ClientConfig:
    """Return how to reach the service.

    Raises:
        SettingsError: the URL, or the authentication for it, is not safe.
    """
    encrypted = settings.url.lower().startswith("https:")
    return ClientConfig(
        base_url=settings.url,
        auth=settings.auth if encrypted else "none",
        target_name=settings.target_name,
        ca_bundle=settings.ca_bundle,
    )


def _variables(around: Surroundings) -> dict[str, str]:
    settings, requested = around.settings, around.envvars
    if around.sharing.run_directory:
        variables = carried(os.environ, settings.export or "ALL", requested)
    else:
        variables = written_out(
            os.environ, settings.export or "NONE", requested, with_secrets=settings.secrets_in_script
        )
    if around.python and "PATH" in variables:
        variables["PATH"] = path_with(around.python.parent, variables["PATH"])
    return variables


def _run_settings(around: Surroundings, variables: Mapping[str, str], environment: Path | None) -> RunSettings:
    return RunSettings(
        directory=Path(),
        done=Path(),
        log_directory=Path(),
        command=(),
        workdir=around.workdir,
        environment=environment,
        path_first=path_to_prepend(around.python.parent, variables) if around.python else None,
        setup=around.settings.job_setup,
        scratch=around.settings.scratch,
        umask=_umask(),
        upstream_seconds=math.ceil(around.settings.marker_grace),
        follows_owner=not around.stays,
    )


def _inline_script(around: Surroundings, variables: Mapping[str, str]) -> InlineScript:
    settings = around.settings
    return InlineScript(
        log_directory=str(settings.logdir or LOG_DIRECTORY),
        workdir=around.workdir if around.sharing.workdir else None,
        scratch=settings.scratch,
        environment=variables,
        path_first=path_to_prepend(around.python.parent, variables) if around.python else None,
        setup=settings.job_setup,
        umask=_umask(),
        keep_log=settings.keep_successful_logs,
    )


def _policy(around: Surroundings) -> Policy:
    settings = around.settings
    slowest = 1.0 / around.max_status_checks_per_second if around.max_status_checks_per_second > 0 else 0.0
    interval = max(SHORTEST_INTERVAL_SECONDS, around.seconds_between_status_checks, slowest)
    return Policy(
        graces=Graces(
            marker=settings.marker_grace, requeue=settings.requeue_grace, gap=max(Graces().gap, 3 * interval)
        ),
        interval_seconds=interval,
        first_delay_seconds=settings.init_seconds_before_status_checks,
        connections=settings.max_connections,
        unknown_seconds=settings.unknown_grace,
        outage_seconds=settings.outage_tolerance * 3600.0,
        keep_successful_logs=settings.keep_successful_logs,
        follows=around.stays,
    )


def _umask() -> int:
    """The mask of this process; asking for it through os.umask would change it for a moment in all threads."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == "Umask":
            return int(value, 8)
    return 0o022
