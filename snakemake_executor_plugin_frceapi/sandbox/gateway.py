"""The API before a real Slurm: a part for tests, to be reached through a proxy that authenticates.

It is not a service for several users: all jobs belong to the user of this process, whoever asks. So the proxy must
name the principal that maps to this user (`SlurmGateway`), and alone know the secret in the URL.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from snakemake_executor_plugin_frceapi.sandbox.app import SandboxApp
from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.environment import User
from snakemake_executor_plugin_frceapi.sandbox.faults import Faults
from snakemake_executor_plugin_frceapi.sandbox.secret import checked_secret, new_secret, read_secret
from snakemake_executor_plugin_frceapi.sandbox.server import LoopbackServer
from snakemake_executor_plugin_frceapi.sandbox.slurm import SlurmBackend

_logger = logging.getLogger("frceapi.sandbox")


class SlurmGateway:
    """The two calls on a loopback port, with the Slurm of this machine behind them.

    Attributes:
        faults: what is to go wrong on purpose.
    """

    def __init__(self, config: SandboxConfig, principal: str | None) -> None:
        """Make it; `start` brings it up.

        Args:
            config: port, secret and directory; what belongs to the pretend cluster has no meaning here.
            principal: the one Kerberos principal whose requests are served, as the proxy names it in ``X-Remote-User``;
                None: there is no proxy, and the secret is enough.

        Raises:
            ValueError: the secret cannot be used.
        """
        self._config = config
        self.faults = Faults(config.seed)
        self._principal = principal
        self._secret = _secret(config)
        self._server: LoopbackServer | None = None
        self._backend: SlurmBackend | None = None

    def start(self) -> None:
        """Serve.

        Raises:
            OSError: the port is taken.
            BackendError: there is no Slurm here, or it does not answer.
        """
        user = User.current()
        directory = self._config.directory or Path(tempfile.mkdtemp(prefix="frceapi-gateway-"))
        backend = SlurmBackend(directory.resolve(), user)
        app = SandboxApp(self._config, self._secret, backend, self.faults, user, principal=self._principal)
        self._server = LoopbackServer(self._config.host, self._config.port, app, _log_answer)
        self._backend = backend
        backend.start()
        self._server.start()

    def stop(self) -> None:
        """Serve no longer. The jobs go on, and their output stays."""
        if self._server is not None and self._backend is not None:
            self._server.stop()
            self._backend.stop()
            self._server = self._backend = None

    @property
    def url(self) -> str:
        """Base URL of the API, with the secret."""
        return self._url(self._secret)

    @property
    def public_url(self) -> str:
        """Base URL of the API with the secret masked, for logs."""
        return self._url("***")

    def _url(self, secret: str) -> str:
        if self._server is None:
            raise RuntimeError("the gateway does not run; call start()")
        return f"http://{self._config.host}:{self._server.port}/{secret}/hpcapi"


def _secret(config: SandboxConfig) -> str:
    if config.secret_file is not None:
        return read_secret(config.secret_file)
    return checked_secret(config.secret) if config.secret is not None else new_secret()


def _log_answer(method: str, call: str, status_code: int) -> None:
    _logger.debug("%s %s %d", method, call, status_code)
