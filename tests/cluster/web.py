"""What stands before the API at FRCE: Apache with TLS and mod_auth_gssapi, as a reverse proxy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.cluster.daemons import Daemon, listens
from tests.ports import free_ports

HOST = "localhost"
_USER = "www-data"
"""Apache's own user on Debian: its workers never run as root."""

_MODULES = (
    "alias",
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "auth_gssapi",
    "headers",
    "proxy",
    "proxy_http",
    "socache_shmcb",
    "ssl",
)

_HTTPD_CONF = """\
ServerRoot {directory}
ServerName {host}
Listen 127.0.0.1:{port}
PidFile {directory}/httpd.pid
DefaultRuntimeDir {directory}
ErrorLog {directory}/error.log
LogFormat "%h %u \\"%r\\" %>s %{{Content-Length}}i %B" short
CustomLog {directory}/access.log short
User {user}
Group {user}
StartServers 1
ThreadsPerChild 16
MaxRequestWorkers 32
{modules}
SSLEngine on
SSLCertificateFile {certificate}
SSLSessionCache none
KeepAliveTimeout 60
{directives}
<Location /hpcapi>
    AuthType GSSAPI
    AuthName hpcapi
    GssapiCredStore keytab:{directory}/service.keytab
    GssapiAllowedMech krb5
    Require valid-user
    RequestHeader set X-Remote-User expr=%{{REMOTE_USER}}
    ProxyPass {backend} retry=0
</Location>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What an Apache is started with.

    Attributes:
        backend: URL of the gateway, which is a secret.
        keytab: keys of the service principal.
        certificate: file with certificate and key, in PEM.
        directives: lines of its configuration that a test adds.
    """

    backend: str
    keytab: Path
    certificate: Path
    directives: str = ""


class Web:
    """An Apache.

    Attributes:
        url: base URL of the API behind it.
        access_log: a line for each request: client, user, request, status, and the bytes that came and went.
    """

    def __init__(self, directory: Path, site: Site, environment: dict[str, str]) -> None:
        """Start it.

        Args:
            directory: an existing directory for all its files, which Apache's own user must be able to reach.
            site: what it serves.
            environment: the variables with which Kerberos programs find the realm.

        Raises:
            RigError: it does not start.
        """
        (port,) = free_ports(1)
        self.url = f"https://{HOST}:{port}/hpcapi"
        self.access_log = directory / "access.log"
        self._keytab = directory / "service.keytab"
        self.use_keytab(site.keytab)
        configuration = directory / "httpd.conf"
        configuration.touch(0o600)
        configuration.write_text(_configuration(directory, site, port), encoding="ascii")
        command = ["apache2", "-D", "FOREGROUND", "-d", str(directory), "-f", str(configuration)]
        # The replay cache would otherwise be in /var/tmp and be shared with others.
        self._daemon = Daemon("apache2", command, directory, {**environment, "KRB5RCACHENAME": "none:"})
        self._daemon.wait_until(lambda: listens(port))

    def use_keytab(self, keytab: Path) -> None:
        """Accept tickets for the keys in a copy of this keytab, from the next request on."""
        copy = shutil.copy(keytab, self._keytab.with_suffix(".new"))
        shutil.chown(copy, _USER)
        Path(copy).rename(self._keytab)

    def stop(self) -> None:
        """Stop it."""
        self._daemon.stop()


def make_certificate(directory: Path, host: str = HOST) -> tuple[Path, Path]:
    """Make a certificate authority and a certificate.

    Args:
        directory: where the files go.
        host: whom the certificate names.

    Returns:
        The authority's certificate, for clients, and the file with certificate and key, for the server.
    """
    authority = trustme.CA()
    bundle, certificate = directory / "ca.pem", directory / "server.pem"
    authority.cert_pem.write_to_path(bundle)
    authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(certificate)
    return bundle, certificate


def _configuration(directory: Path, site: Site, port: int) -> str:
    modules = (f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES)
    return _HTTPD_CONF.format(
        directory=directory,
        host=HOST,
        port=port,
        user=_USER,
        modules="\n".join(modules),
        certificate=site.certificate,
        backend=site.backend,
        directives=site.directives,
    )
