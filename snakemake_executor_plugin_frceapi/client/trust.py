"""Whom the client trusts, and what all its connections know of TLS."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from snakemake_executor_plugin_frceapi.client.endpoint import ClientConfig
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault

_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Where Debian, Red Hat and SUSE keep the certificates that an administrator trusts: update-ca-certificates(8),
update-ca-trust(8)."""


class Trust:
    """What connections are made with, which are trusted by certificates; those are read anew when they have changed.

    To read the hundred and more of a system's store takes as long as twenty submissions. The methods may be called from
    any thread.

    Args:
        config: how to reach the service.
        environ: the environment.

    Raises:
        ConfigurationFault: the certificates cannot be read, or there are none.
    """

    def __init__(self, config: ClientConfig, environ: Mapping[str, str]) -> None:
        self._name, self._place = _certificates(config, environ)
        self._lock = threading.Lock()
        self._changed = self._last_change()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """Return what the next connection is made with; certificates that cannot be read just now change nothing."""
        with self._lock:
            changed = self._last_change()
            if changed != self._changed:
                self._changed = changed
                with suppress(ConfigurationFault):
                    self._context = self._read()
            return self._context

    def _last_change(self) -> int | None:
        try:
            return Path(self._place).stat().st_mtime_ns
        except OSError:
            return None

    def _read(self) -> ssl.SSLContext:
        file, directory = (None, self._place) if Path(self._place).is_dir() else (self._place, None)
        try:
            return ssl.create_default_context(cafile=file, capath=directory)
        except OSError:
            raise ConfigurationFault(
                f"{self._name} is {self._place!r}, which holds no certificate: "
                "give the PEM file of the site's authority"
            ) from None


def trusted_certificates(config: ClientConfig, environ: Mapping[str, str]) -> str:
    """Return the file or directory with the certificates that are trusted.

    The order is the setting, ``REQUESTS_CA_BUNDLE``, the system's store (a site's own authority is there, and not in
    certifi), certifi. Only files count as the system's store, because its directory may exist and be empty.

    Raises:
        ConfigurationFault: the place named by the user cannot be read.
    """
    return _certificates(config, environ)[1]


def _certificates(config: ClientConfig, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return how the place is called, and the place."""
    named = {"--frceapi-ca-bundle": config.ca_bundle, "REQUESTS_CA_BUNDLE": environ.get("REQUESTS_CA_BUNDLE")}
    for name, place in named.items():
        if place:
            if not os.access(place, os.R_OK):
                raise ConfigurationFault(f"{name} is {str(place)!r}, which cannot be read: give an existing PEM file")
            return name, str(place)
    paths = ssl.get_default_verify_paths()
    candidates = (environ.get(paths.openssl_cafile_env), *_SYSTEM_BUNDLES, paths.cafile)
    found = next((place for place in candidates if place and Path(place).is_file()), None)
    return "the system's store (there is no --frceapi-ca-bundle)", found or _of_certifi()


def _of_certifi() -> str:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return DEFAULT_CA_BUNDLE_PATH
