"""The sandbox as a whole."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from snakemake_executor_plugin_frceapi.sandbox.app import SandboxApp
from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.environment import User
from snakemake_executor_plugin_frceapi.sandbox.faults import Faults
from snakemake_executor_plugin_frceapi.sandbox.jobs import Job, State
from snakemake_executor_plugin_frceapi.sandbox.scheduler import Scheduler
from snakemake_executor_plugin_frceapi.sandbox.secret import LOOPBACK_HOSTS, checked_secret, new_secret, read_secret
from snakemake_executor_plugin_frceapi.sandbox.server import LoopbackServer

_logger = logging.getLogger("frceapi.sandbox")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request that came.

    Attributes:
        method: HTTP method.
        call: last segment of the path, such as ``submit_job``.
        status_code: of the answer; 0: the connection was closed without one, on purpose.
        time: when it was answered, in seconds since the epoch.
    """

    method: str
    call: str
    status_code: int
    time: float


class Sandbox:
    """The API on a loopback port, with a pretend cluster behind it.

    Attributes:
        config: its settings.
        faults: what is to go wrong on purpose.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        """Make it; `start` or ``with`` brings it up.

        Raises:
            ValueError: the address is not a loopback one, or the secret cannot be used.
        """
        self.config = config or SandboxConfig()
        if self.config.host not in LOOPBACK_HOSTS:
            raise ValueError(
                f"sandbox address {self.config.host!r} is not this machine's own: whoever reaches the sandbox runs "
                "programs as you; use 127.0.0.1"
            )
        self.faults = Faults(self.config.seed)
        self._secret = _secret(self.config)
        self._requests: list[RequestRecord] = []
        self._scheduler: Scheduler | None = None
        self._server: LoopbackServer | None = None
        self._directory: Path | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve. A sandbox starts once.

        Raises:
            OSError: the port is taken.
            RuntimeError: it was started before.
        """
        if self._scheduler is not None:
            raise RuntimeError("this sandbox was started before; make a new one")
        directory = Path(tempfile.mkdtemp(prefix="frceapi-sandbox-", dir=self.config.directory)).resolve()
        user = User.current()
        scheduler = Scheduler(self.config, directory, user)
        app = SandboxApp(self.config, self._secret, scheduler, self.faults, user)
        try:
            self._server = LoopbackServer(self.config.host, self.config.port, app, self._record)
        except OSError:
            shutil.rmtree(directory)
            raise
        self._directory, self._scheduler = directory, scheduler
        atexit.register(self.stop)
        scheduler.start()
        self._server.start()
        _logger.info("sandbox serves %s", self.public_url)

    def stop(self) -> None:
        """End every job, stop serving and remove the jobs' files (unless `SandboxConfig.directory` was given)."""
        with self._lock:
            server, self._server = self._server, None
        if server is None:
            return
        atexit.unregister(self.stop)
        self.faults.close()
        self._cluster.stop()
        server.stop()
        if self.config.directory is None:
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def url(self) -> str:
        """Base URL of the API, with the secret."""
        return self._url(self._secret)

    @property
    def public_url(self) -> str:
        """Base URL of the API with the secret masked, for logs."""
        return self._url("***")

    @property
    def directory(self) -> Path:
        """Where the jobs start and where their ``slurm-<id>.out`` are."""
        if self._directory is None:
            raise RuntimeError("the sandbox has not been started; call start() or use it in a with statement")
        return self._directory

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests so far, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def jobs(self) -> dict[str, Job]:
        """All jobs so far by external jobid, oldest first; they change as they run."""
        return {str(job_id): job for job_id, job in self._cluster.jobs().items()}

    def output(self, external_jobid: str | int) -> str:
        """What the batch script of a job has printed so far."""
        output = self._cluster.job(int(external_jobid)).output
        return output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""

    def wait(self, external_jobid: str | int, *states: str, timeout: float = 60.0) -> Job:
        """Wait until a job is in one of `states`, or has ended if none is given.

        Raises:
            TimeoutError: it is not, after `timeout` seconds.
        """
        job = self._cluster.job(int(external_jobid))
        if not self._cluster.wait_until(lambda: job.state in states if states else job.is_final, timeout):
            raise TimeoutError(f"job {job.job_id} is {job.state} ({job.pending_reason}) after {timeout} seconds")
        return job

    def unplug(self) -> None:
        """Close the port and all connections: whoever calls is refused until `plug_in`. The jobs go on."""
        self._running_server.stop()

    def plug_in(self) -> None:
        """Serve again, on the same port.

        Raises:
            OSError: the port is taken.
        """
        former = self._running_server
        self._server = LoopbackServer(self.config.host, former.port, former.app, self._record)
        self._server.start()

    def hold(self) -> None:
        """Start no job until `release`: jobs stay PENDING."""
        self._cluster.hold()

    def release(self) -> None:
        """Start jobs again."""
        self._cluster.release()

    def cancel(self, external_jobid: str | int) -> None:
        """End a job as scancel(1) does."""
        self._cluster.cancel(int(external_jobid))

    def requeue(self, external_jobid: str | int) -> None:
        """End a job and start it again under its id, as ``scontrol requeue`` does."""
        self._cluster.requeue(int(external_jobid))

    def preempt(self, external_jobid: str | int) -> None:
        """As `requeue`, with the state PREEMPTED until the job's processes have ended."""
        self._cluster.requeue(int(external_jobid), State.PREEMPTED)

    def fail_node(self, external_jobid: str | int, *, requeue: bool = False) -> None:
        """Let a running job lose its node: it is killed without a warning, and started again if `requeue`."""
        self._cluster.fail_node(int(external_jobid), requeue=requeue)

    def set_state(self, external_jobid: str | int, state: str | None) -> None:
        """List a job with any word as its state, whatever is true; None: the true one again."""
        self._cluster.set_state(int(external_jobid), state)

    @property
    def _cluster(self) -> Scheduler:
        if self._scheduler is None:
            raise RuntimeError("the sandbox has not been started; call start() or use it in a with statement")
        return self._scheduler

    @property
    def _running_server(self) -> LoopbackServer:
        if self._server is None:
            raise RuntimeError("the sandbox does not run; call start() or use it in a with statement")
        return self._server

    def _url(self, secret: str) -> str:
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self._running_server.port}/{secret}/hpcapi"

    def _record(self, method: str, call: str, status_code: int) -> None:
        with self._lock:
            self._requests.append(RequestRecord(method, call, status_code, self.config.clock()))
        _logger.debug("%s %s %d", method, call, status_code)


def _secret(config: SandboxConfig) -> str:
    if config.secret_file is not None:
        return read_secret(config.secret_file)
    return checked_secret(config.secret) if config.secret is not None else new_secret()
