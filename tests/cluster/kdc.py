"""A Kerberos realm of its own: MIT's KDC on a loopback port, its principals, and tickets for tests."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.cluster.daemons import Daemon, listens, run
from tests.ports import free_ports

REALM = "NIH.TEST"

_KRB5_CONF = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = {udp_limit}
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    localhost = {realm}
    .test = {realm}
[logging]
    kdc = FILE:{directory}/kdc.log
"""

_KDC_CONF = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {directory}/principals
        key_stash_file = {directory}/stash
        acl_file = {directory}/kadm5.acl
        max_life = 10h
        max_renewable_life = 7d
        default_principal_flags = +renewable
    }}
"""


class Kdc:
    """A KDC.

    Attributes:
        environment: the variables with which Kerberos programs find this realm and no other.
        port: its UDP and TCP port.
    """

    def __init__(self, directory: Path) -> None:
        """Make the realm's database and start the KDC.

        Args:
            directory: an existing directory for all its files.

        Raises:
            RigError: it does not start.
        """
        self._directory = directory
        (self.port,) = free_ports(1)
        self.environment = {
            "KRB5_CONFIG": str(directory / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(directory / "kdc.conf"),
        }
        self._write("krb5.conf", _KRB5_CONF)
        self._write("kdc.conf", _KDC_CONF)
        self._write("kadm5.acl", "")
        run(["kdb5_util", "create", "-s", "-r", REALM, "-P", "master"], self.environment)
        self._daemon: Daemon
        self.start()

    def start(self) -> None:
        """Start the KDC, which has been stopped."""
        self._daemon = Daemon("krb5kdc", ["krb5kdc", "-n"], self._directory, self.environment)
        self._daemon.wait_until(lambda: listens(self.port))

    def stop(self) -> None:
        """Stop the KDC: its port refuses connections."""
        self._daemon.stop()

    def silence(self) -> None:
        """Let the KDC take requests and answer none, until `speak`."""
        self._daemon.signal(signal.SIGSTOP)

    def speak(self) -> None:
        """Let the KDC answer again."""
        self._daemon.signal(signal.SIGCONT)

    def add_user(self, name: str, password: str) -> None:
        """Make a principal with a password."""
        self._administer(f"add_principal -pw {password} {name}")

    def add_keytab(self, name: str) -> Path:
        """Make a principal with a random key, unless it exists, and return a new keytab that holds its keys."""
        keytab = self._directory / f"{name.replace('/', '_')}.keytab"
        self._administer(f"add_principal -randkey {name}", f"ktadd -norandkey -k {keytab} {name}")
        return keytab

    def change_keys(self, name: str) -> Path:
        """Give a principal another random key and return a new keytab that holds no other."""
        keytab = self._directory / f"{name.replace('/', '_')}.new.keytab"
        keytab.unlink(missing_ok=True)
        self._administer(f"ktadd -k {keytab} {name}")
        return keytab

    def kinit(self, cache: Path | str, name: str, password: str, *options: str) -> None:
        """Get a ticket into a cache, as a user does.

        Args:
            cache: a file, or the name of a cache of another type.
            name: the principal.
            password: its password.
            options: of kinit(1), such as ``-l 30s -r 1h``.
        """
        run(["kinit", "-c", str(cache), *options, name], self.environment, f"{password}\n")

    def _administer(self, *queries: str) -> None:
        run(["kadmin.local", "-r", REALM], self.environment, "".join(f"{query}\n" for query in queries))

    def _write(self, name: str, text: str) -> None:
        # 1: every request goes over TCP, where a silent KDC is silent in the same way each time.
        values = {"realm": REALM, "port": self.port, "directory": self._directory, "udp_limit": 1}
        (self._directory / name).write_text(text.format(**values), encoding="ascii")
