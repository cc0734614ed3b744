"""The real parts together: a KDC, Slurm, the gateway before it and Apache before that, on loopback ports."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.cluster.daemons import Daemon
from tests.cluster.kdc import REALM, Kdc
from tests.cluster.slurm import Slurm, SlurmOptions
from tests.cluster.web import HOST, Site, Web, make_certificate

FRCEAPI = "from snakemake_executor_plugin_frceapi.cli import main; main()"
"""The console command, as a program of Python's option -c."""

PASSWORD = "password"
STRANGER = "stranger"
"""A principal that is good for Kerberos and maps to nobody here."""


class Rig:
    """All parts, running.

    Attributes:
        directory: where the files of all parts are, each in a directory of its own.
        kdc: the Kerberos realm.
        slurm: the cluster.
        web: the server that clients see.
        user: the principal of the user who owns all jobs.
        ca_bundle: the certificate that clients must trust.
        client_environment: the variables with which a client finds realm, service and certificate; no ticket.
    """

    def __init__(self, directory: Path, options: SlurmOptions, user: str, stack: contextlib.ExitStack) -> None:
        """Start everything; use `running_rig`.

        Args:
            directory: an existing directory that everybody can enter.
            options: Slurm's waiting times.
            user: who owns all jobs.
            stack: stops what was started.
        """
        self.directory = directory
        self.user = user
        self.kdc = Kdc(self._place("kdc", 0o711))
        stack.callback(self.kdc.stop)
        for name in (self.user, STRANGER):
            self.kdc.add_user(name, PASSWORD)
        self.slurm = Slurm(self._place("slurm", 0o711), options)
        stack.callback(self.slurm.stop)
        self._gateway, backend = self._start_gateway()
        stack.callback(self._gateway.stop)
        self.ca_bundle, self._certificate = make_certificate(self._place("tls", 0o711))
        self.web = self.start_web("web", backend)
        stack.callback(self.web.stop)
        self.client_environment = {
            "KRB5_CONFIG": self.kdc.environment["KRB5_CONFIG"],
            "REQUESTS_CA_BUNDLE": str(self.ca_bundle),
            "SNAKEMAKE_FRCEAPI_URL": self.web.url,
        }

    def start_web(self, name: str, backend: str) -> Web:
        """Start an Apache, which the caller stops.

        Args:
            name: names its directory; no other has it.
            backend: URL of the gateway before which it stands.

        Raises:
            RigError: it does not start.
        """
        site = Site(backend=backend, keytab=self.kdc.add_keytab(f"HTTP/{HOST}"), certificate=self._certificate)
        return Web(self._place(name, 0o711), site, self.kdc.environment)

    def _start_gateway(self) -> tuple[Daemon, str]:
        """Start the gateway; returned are its process and its URL, which nobody but Apache is told."""
        directory = self._place("gateway")
        shutil.chown(directory, self.user)
        options = [f"--principal={self.user}@{REALM}", f"--directory={directory}", "--verbose"]
        command = [sys.executable, "-c", FRCEAPI, "sandbox", "--backend=slurm"]
        gateway = Daemon("gateway", [*as_user(self.user), *command, *options], directory, self.slurm.environment)
        gateway.wait_until(lambda: "hpcapi" in gateway.tail())
        line = next(line for line in gateway.log.read_text("utf-8").splitlines() if line.startswith("export "))
        url = line.partition("=")[2]
        assert urlsplit(url).hostname == "127.0.0.1", url
        return gateway, url

    def _place(self, name: str, mode: int = 0o700) -> Path:
        place = self.directory / name
        place.mkdir(mode)
        return place


def as_user(name: str) -> list[str]:
    """Return the words that stand before a command so that it runs as a user, with none of root's powers."""
    account = pwd.getpwnam(name)
    ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    # The kernel forgets the signal, which `Daemon` asks for, when the user changes.
    return ["setpriv", *ids, "--pdeathsig=TERM", "--"]


@contextlib.contextmanager
def running_rig(options: SlurmOptions | None = None, user: str | None = None) -> Iterator[Rig]:
    """Start a rig; afterwards, or if a part does not start, stop what was started and remove its files.

    Args:
        options: Slurm's waiting times.
        user: who owns all jobs; None: the user of this process.

    Raises:
        RigError: a part does not start.
    """
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="frceapi-cluster-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o711)
        yield Rig(directory, options or SlurmOptions(), user or pwd.getpwuid(os.getuid()).pw_name, stack)
