"""Where the service is and how it is reached; checks that need no network.

A sandbox's URL holds a secret in its path, so URLs are shown through `public_url` only.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from snakemake_executor_plugin_frceapi.errors import SettingsError

_PUBLIC_SEGMENTS = {"", "hpcapi", "submit_job", "query_status"}

_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+")

_BARE_HOST = re.compile(r"(?:[^/?#@]*@)?([A-Za-z0-9.-]+(?::[0-9]+)?)/[^@]*")
"""A URL without its scheme: the host that the user meant stands before the first slash."""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How to reach the service.

    Attributes:
        base_url: root of the API; ``https``, or ``http`` to a loopback address.
        auth: ``kerberos``, or ``none`` to a loopback address.
        target_name: service principal as ``HTTP@host``, where the host name of the URL does not give it.
        ca_bundle: file or directory with the certificates to trust, or None for the usual places.
        connect_timeout_seconds: for each address of the host.
        submit_deadline_seconds: for a whole ``submit_job``, from the token to the last byte.
        status_deadline_seconds: for a whole ``query_status``.
        max_submit_bytes: largest answer to ``submit_job``.
        max_listing_bytes: largest listing.
        user_agent: what the client calls itself.
    """

    base_url: str = field(repr=False)
    auth: str = "kerberos"
    target_name: str | None = None
    ca_bundle: Path | None = None
    connect_timeout_seconds: float = 5.0
    submit_deadline_seconds: float = 30.0
    status_deadline_seconds: float = 60.0
    max_submit_bytes: int = 64 * 1024
    max_listing_bytes: int = 32 * 1024 * 1024
    user_agent: str = "snakemake-executor-plugin-frceapi"

    def __post_init__(self) -> None:
        """Refuse a URL or a kind of authentication that is not safe."""
        check_url(self.base_url)
        if self.auth not in ("kerberos", "none"):
            raise SettingsError(f"--frceapi-auth is {self.auth!r}: use kerberos or none")
        if self.auth == "none" and not is_loopback(self.base_url):
            raise SettingsError(
                f"--frceapi-auth none is only for a sandbox, not for {public_url(self.base_url)}: use kerberos"
            )
        if self.auth == "kerberos" and urlsplit(self.base_url).scheme != "https":
            raise SettingsError(
                f"Kerberos needs https, but --frceapi-url is {public_url(self.base_url)}: "
                "use https, or --frceapi-auth none for a sandbox"
            )

    def url_of(self, call: str) -> str:
        """Return the full URL of a call; it may hold the sandbox's secret."""
        return f"{self.base_url.rstrip('/')}/{call}"


def check_url(url: str) -> None:
    """Check a base URL.

    Raises:
        SettingsError: no ``https`` where it is needed, no host, or parts that a base URL does not have.
    """
    parts = _split(url)
    if parts is None or not _HOST.fullmatch(parts.hostname or "") or parts.scheme not in ("http", "https"):
        shown = repr(public_url(url)) if url else "empty"
        raise SettingsError(f"--frceapi-url is {shown}: give a URL such as https://hpcapi.ncifcrf.gov/hpcapi")
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(f"--frceapi-url is {public_url(url)!r}: leave out user name, password, ? and #")
    if parts.scheme == "http" and not is_loopback(url):
        raise SettingsError(f"--frceapi-url is {public_url(url)!r}: only https is safe to a host other than this one")


def is_loopback(url: str) -> bool:
    """Tell whether the URL names this machine's loopback address."""
    parts = _split(url)
    host = (parts.hostname if parts else None) or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=16)
def public_url(url: str) -> str:
    """Return a URL as it may be shown: no user name or password, no query, no secret of a sandbox."""
    parts = _split(url)
    if parts is None:
        return "***"
    if not parts.hostname:
        meant = _BARE_HOST.fullmatch(url)
        return f"{meant.group(1)}/***" if meant else "***"
    address = parts.netloc.rpartition("@")[2]
    user = "***@" if parts.username is not None else ""
    shows_path = parts.scheme == "https" and not is_loopback(url)
    segments = [part if shows_path or part in _PUBLIC_SEGMENTS else "***" for part in parts.path.split("/")]
    return f"{parts.scheme}://{user}{address}{'/'.join(segments)}" + ("?***" if parts.query or parts.fragment else "")


def _split(url: str) -> SplitResult | None:
    """Splits a URL; None for one that programs may read differently."""
    if not url.isascii() or not url.isprintable() or set(url) & {" ", "\\"}:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
